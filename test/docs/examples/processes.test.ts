import { readFileSync } from 'node:fs'
import { itWithMounts } from '../../support/privileged'
import { useTempDir } from '../../support/temp-dir'
import { until } from '../../support/waiting'
import { linesOf, portOf, startExample, trailsOf, untilStarted } from './example'

const dir = useTempDir()

const REQUESTS = 8
/** Below the cap on the commands of one agent, even in one thread or process. */
const USERS = 4

/** Asks for commands as a few users do, and returns the answers' status codes. */
async function ask(port: string, paths: readonly string[]): Promise<number[]> {
  const answers = paths.map((path, i) =>
    fetch(`http://127.0.0.1:${port}${path}`, { headers: { 'x-user': `u${i % USERS}` } }),
  )
  return (await Promise.all(answers)).map(({ status }) => status)
}

/** What a context has under a name, each value once. */
function valuesOf(name: string): string[] {
  const values = linesOf(dir.path('exec.log')).map(({ context }) => context?.[name])
  return [...new Set(values.filter((value) => value !== undefined))].sort()
}

const count = (trail: string) =>
  trailsOf(dir.path('exec.log')).filter((each) => each === trail).length

describe('the gateway of worker threads', () => {
  it('spreads commands over threads with one log, and ends with all of it on disk', async () => {
    const gateway = startExample('worker-threads', { AUDIT_LOG: dir.path('exec.log') })
    const port = await portOf(gateway)
    const paths = Array.from({ length: REQUESTS }, (_, i) => (i < 2 ? '/nothing' : '/uptime'))
    const statuses = await ask(port, paths)
    expect(statuses).toEqual(paths.map((path) => (path === '/nothing' ? 403 : 200)))
    gateway.child.kill('SIGTERM')
    expect(await gateway.ended).toBe(0)
    expect([count('request started exit'), count('argv_not_allowed')]).toEqual([REQUESTS - 2, 2])
    expect(valuesOf('principal')).toEqual([0, 1, 2, 3].map((user) => `user:u${user}`))
    expect(valuesOf('session').length).toBe(2)
  })
})

describe('the gateway of node:cluster', () => {
  it('has one log of several processes, replaces one that dies, and ends them all', async () => {
    const gateway = startExample('cluster', { AUDIT_LOG: dir.path('exec.log') })
    const pids = () => [...gateway.output.text.matchAll(/"pid":(\d+)/g)].map(([, pid]) => pid)
    const port = await portOf(gateway)
    await until('the second process does not listen', () => pids().length === 2)
    process.kill(Number(pids()[0]), 'SIGKILL')
    await until('there is no process in place of the first', () => pids().length === 3)
    const paths = Array.from({ length: REQUESTS }, () => '/uptime')
    expect(await ask(port, paths)).toEqual(paths.map(() => 200))
    gateway.child.kill('SIGTERM')
    expect(await gateway.ended).toBe(0)
    expect(count('request started exit')).toBe(REQUESTS)
    const alive = pids().slice(1)
    expect(valuesOf('session').filter((each) => !alive.includes(each.slice(8)))).toEqual([])
  })

  it('cancels, records and answers the commands that run when it is ended', async () => {
    const gateway = startExample('cluster', { AUDIT_LOG: dir.path('exec.log') })
    const answer = ask(await portOf(gateway), ['/nap'])
    await untilStarted(dir.path('exec.log'))
    gateway.child.kill('SIGINT')
    expect(await answer).toEqual([200])
    expect(await gateway.ended).toBe(0)
    expect(trailsOf(dir.path('exec.log'))).toEqual(['request started cancelled exit'])
  })
})

describe('the gateway in a container', () => {
  it('is not ready and refuses commands while it waits for those that run', async () => {
    const env = { AUDIT_LOG: dir.path('exec.log'), GRACE_MS: '600000' }
    const gateway = startExample('container', env)
    const port = await portOf(gateway)
    expect(await ask(port, ['/ready'])).toEqual([200])
    const answer = ask(port, ['/nap'])
    await untilStarted(dir.path('exec.log'))
    gateway.child.kill('SIGTERM')
    let status = 200
    while (status === 200) [status = 0] = await ask(port, ['/ready'])
    expect(await ask(port, ['/uptime'])).toEqual([503])
    const { pid } = linesOf(dir.path('exec.log'))[1] ?? {}
    process.kill(pid ?? 0, 'SIGTERM')
    expect(await answer).toEqual([200])
    expect(await gateway.ended).toBe(0)
    expect(trailsOf(dir.path('exec.log'))).toEqual(['request started exit', 'exec_disabled'])
    expect(linesOf(dir.path('exec.log')).at(-1)).toMatchObject({ code: null, signal: 15 })
  })

  itWithMounts('records what it cancels, as the child of process 1', async () => {
    const init = 'trap \'kill -TERM "$child"\' TERM; "$@" & child=$!; wait "$child"; wait "$child"'
    const namespace = ['unshare', '--pid', '--fork', '--mount-proc', 'sh', '-c', init, 'init']
    const env = { AUDIT_LOG: dir.path('exec.log'), GRACE_MS: '3000' }
    const gateway = startExample('container', env, namespace)
    const answer = Promise.allSettled([ask(await portOf(gateway), ['/nap'])])
    await untilStarted(dir.path('exec.log'))
    const { pid = 0 } = gateway.child
    const first = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    process.kill(Number(first), 'SIGTERM')
    await gateway.ended
    await answer
    expect(trailsOf(dir.path('exec.log'))).toEqual(['request started cancelled exit'])
  })
})
