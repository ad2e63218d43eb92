import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { type AuditProblem, type AuditRecord, type FollowOptions, followAudit } from '../../src'
import { runChild } from '../support/children/run-child'
import { startedEvent, startedLine, startedLines } from '../support/events'
import { openAudit } from '../support/open-audit'
import { useTempDir } from '../support/temp-dir'
import { times } from '../support/times'
import { pause, until } from '../support/waiting'

const dir = useTempDir()
const path = () => dir.path('exec.log')
const stops: (() => Promise<unknown>)[] = []

afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()))
})

/** Follows the path in the background, and keeps what it gets. */
function follow(options: FollowOptions = {}) {
  const pids: (number | undefined)[] = []
  const places: number[][] = []
  const problems: AuditProblem[] = []
  const changes: string[] = []
  const follower = followAudit(path(), {
    onProblem: (problem) => void problems.push(problem),
    onChange: (change) => void changes.push(change),
    ...options,
  })
  const take = (event: AuditRecord) => {
    pids.push(event.event === 'started' ? event.pid : undefined)
    places.push([event.line, event.offset])
  }
  const end = (async () => {
    for await (const event of follower) take(event)
  })()
  stops.push(() => follower.return())
  const saw = (pid: number) => until(`pid ${pid} was not seen: ${pids}`, () => pids.includes(pid))
  const reported = (what: string) => until(`no ${what}: ${changes}`, () => changes.includes(what))
  return { follower, pids, places, problems, changes, end, saw, reported }
}

const append = (text: string) => appendFileSync(path(), text)

describe('followAudit', () => {
  it('sees every durable event once and in order while the real writer appends and the log is rotated', async () => {
    const rotations = times('ROTATIONS', 5, 50)
    const { audit } = openAudit(path())
    const { pids, problems, changes, saw } = follow()
    let pid = 0
    const outcomes: Promise<string>[] = []
    const record = () => outcomes.push(audit.started(startedEvent({ pid: pid++ })))
    for (let rotation = 0; rotation < rotations; rotation++) {
      for (let i = 0; i < 50; i++) record()
      await outcomes.at(-1)
      const marker = pid - 1
      for (let i = 0; i < 50; i++) record()
      await saw(marker)
      renameSync(path(), `${path()}.${rotation}`)
    }
    record()
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['durable']))
    await saw(pid - 1)
    expect(pids).toEqual(Array.from({ length: pid }, (_, i) => i))
    expect(problems).toEqual([])
    expect(changes.filter((change) => change === 'rotated')).toHaveLength(rotations)
  })

  it('waits for a log that does not exist, nor its folder, and for the end of its last line', async () => {
    const folder = dir.path('later')
    const log = dir.path('later/exec.log')
    const seen: AuditRecord[] = []
    const changes: string[] = []
    const follower = followAudit(log, { onChange: (change) => void changes.push(change) })
    stops.push(() => follower.return())
    const reading = (async () => {
      for await (const event of follower) seen.push(event)
    })()
    await until('not reported missing', () => changes.length > 0)
    mkdirSync(folder)
    writeFileSync(log, startedLine(1) + startedLine(2).slice(0, 40))
    await until('no first event', () => seen.length > 0)
    appendFileSync(log, startedLine(2).slice(40))
    await until('no second event', () => seen.length > 1)
    await follower.return()
    await reading
    expect(seen).toEqual(
      [1, 2].map((pid, i) => ({
        ...{ event: 'started', tsUnixMs: 0, requestId: '0123456789abcdef0123456789abcdef', pid },
        ...{ line: i + 1, offset: i * startedLine(1).length, length: startedLine(1).length - 1 },
      })),
    )
    expect(changes).toEqual(['missing'])
  })

  it('starts over after a truncation, and reports the fragment that it cut', async () => {
    append(startedLine(1) + startedLine(2) + startedLine(3).slice(0, 20))
    const { pids, places, problems, changes, saw, reported } = follow()
    await saw(2)
    truncateSync(path(), 0)
    await reported('truncated')
    append(startedLine(4))
    await saw(4)
    expect(pids).toEqual([1, 2, 4])
    expect(places.at(-1)).toEqual([1, 0])
    expect(problems.map(({ kind, isIncomplete, line }) => [kind, isIncomplete, line])).toEqual([
      ['torn', true, 3],
    ])
    expect(changes).toEqual(['truncated'])
  })

  it('goes on when the log is deleted and made anew, also with its folder', async () => {
    append(startedLine(1))
    const { pids, changes, saw, reported } = follow()
    await saw(1)
    rmSync(path())
    await reported('missing')
    append(startedLine(2))
    await saw(2)
    rmSync(dirname(path()), { recursive: true })
    await until('not missing again', () => changes.length === 3)
    mkdirSync(dirname(path()))
    append(startedLine(3))
    await saw(3)
    expect(pids).toEqual([1, 2, 3])
    expect(changes).toEqual(['missing', 'rotated', 'missing', 'rotated'])
  })

  it.each([
    ['a folder', () => mkdirSync(path())],
    ['a link to itself', () => symlinkSync(path(), path())],
    ['a FIFO', () => execFileSync('mkfifo', [path()])],
  ])('goes on when %s stood at the path for a while, and reports that once', async (_, make) => {
    append(startedLine(1))
    const { pids, changes, saw, reported } = follow({ pollMs: 10 })
    await saw(1)
    renameSync(path(), `${path()}.1`)
    make()
    await reported('unreadable')
    appendFileSync(`${path()}.1`, startedLine(2))
    await saw(2)
    rmSync(path(), { recursive: true })
    append(startedLine(3))
    await saw(3)
    expect(pids).toEqual([1, 2, 3])
    expect(changes.filter((change) => change !== 'missing')).toEqual(['unreadable', 'rotated'])
  })

  it.each([
    ['a folder', () => mkdirSync(path()), /^EISDIR: a folder cannot be followed/],
    ['a FIFO', () => execFileSync('mkfifo', [path()]), /^EINVAL: a FIFO cannot be followed/],
    ['a link to itself', () => symlinkSync(path(), path()), /^ELOOP: /],
  ])('refuses %s that it finds when it begins', async (_, make, why) => {
    make()
    await expect(follow().end).rejects.toThrow(why)
  })

  it('begins behind the last line, or at an offset', async () => {
    append(startedLines(3) + startedLine(3).slice(0, 20))
    const atEnd = follow({ from: 'end' })
    const atOffset = follow({ from: startedLine(0).length * 2 })
    await atOffset.saw(2)
    // It cannot be seen where the end is when it is looked for, so the log ends with a fragment each time.
    let last = 2
    while (atEnd.pids.length === 0) {
      last++
      append(startedLine(last).slice(20) + startedLine(last + 1).slice(0, 20))
      await pause(50)
    }
    await Promise.all([atEnd.saw(last), atOffset.saw(last)])
    const all = Array.from({ length: last + 1 }, (_, pid) => pid)
    const [first = 0] = atEnd.pids
    expect(first).toBeGreaterThan(2)
    expect([atEnd.pids, atOffset.pids]).toEqual([all.slice(first), all.slice(2)])
    expect(atEnd.places[0]).toEqual([1, startedLines(first).length])
  })

  it('ends if its signal is aborted, during the wait or before, and at return()', async () => {
    append(startedLine(1))
    const controller = new AbortController()
    const { saw, end } = follow({ signal: controller.signal })
    await saw(1)
    controller.abort()
    await end
    const other = follow({ pollMs: 60_000 })
    await other.saw(1)
    await other.follower.return()
    await other.end
    const none = follow({ signal: controller.signal })
    await none.end
    expect(none.pids).toEqual([])
  })

  it("throws a broken line with onProblem 'throw', and the error of the file system", async () => {
    append('hello\n')
    const broken = followAudit(path(), { onProblem: 'throw' })
    await expect(broken.next()).rejects.toMatchObject({ code: 'AUDIT_BROKEN_LINE' })
    const folder = followAudit(dirname(path()))
    await expect(folder.next()).rejects.toMatchObject({ code: 'EISDIR' })
    expect(() => followAudit(path(), { pollMs: 1 })).not.toThrow()
    await expect(followAudit(path(), { pollMs: 1 }).next()).rejects.toThrow('pollMs: expected')
    await expect(followAudit(path(), { from: -1 }).next()).rejects.toThrow('from: expected')
  })

  it('keeps a process alive only while somebody waits for it', async () => {
    append(startedLine(1))
    const script = `
const { followAudit } = require(${JSON.stringify(`${__dirname}/../../dist`)})
const follower = followAudit(path)
follower.next().then(({ value }) => console.log('pid', value.pid))
`
    const { code, stdout, stderr } = await runChild(script, [path()])
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'pid 1\n', stderr: '' })
  })
})
