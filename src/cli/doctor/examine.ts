import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { codeOf } from '../../base/describe'
import { quoteArgument } from '../shared/escape'
import { checkNames, runChecks } from './checks'
import type { Told } from './examiner'
import { type Finding, fail, type Verdict, warn } from './finding'
import type { Commands, SealPaths } from './subject'
import { Subject } from './subject'

/** The task of the doctor. */
export interface Examination {
  /** The log, absolute; undefined to look at the machine alone. */
  readonly path: string | undefined
  readonly commands: Commands
  readonly seal?: SealPaths | undefined
  /** How long one check may take. */
  readonly limitMs: number
}

/**
 * Examines, and reports each finding as it comes. It ends even if the disk hangs: the checks run in
 * a process of their own, which is left behind then.
 */
export async function examine(task: Examination, tell: (finding: Finding) => void): Promise<void> {
  const examiner = startExaminer(task)
  if (examiner !== undefined) return await listen(examiner, task, tell)
  tell({
    check: 'time limit',
    ...warn(
      "the permission model of Node forbids a process of the doctor's own, so a disk that hangs holds it",
      'node --allow-child-process',
    ),
  })
  await runChecks(new Subject(task.path, task.commands, () => undefined, task.seal), tell)
}

/** Undefined if Node's permission model forbids it. */
function startExaminer({ path, commands, seal = {} }: Examination): ChildProcess | undefined {
  const args =
    path === undefined ? [] : [path, ...[commands, seal].map((each) => JSON.stringify(each))]
  try {
    return fork(join(__dirname, 'examiner.js'), args, {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
  } catch (thrown) {
    if (codeOf(thrown) === 'ERR_ACCESS_DENIED') return undefined
    throw thrown
  }
}

function listen(
  examiner: ChildProcess,
  { path, commands, seal, limitMs }: Examination,
  tell: (finding: Finding) => void,
): Promise<void> {
  const left = checkNames({ hasLog: path !== undefined, commands, seal })
  let scratch: string | undefined
  let stderr = ''
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      letGo(examiner)
      resolve()
    }
    const stop = (why: Verdict) => {
      for (const [i, check] of left.entries()) {
        tell({ check, ...(i === 0 ? why : warn('not tried, since the one before has no end')) })
      }
      end()
    }
    const timer = setTimeout(() => stop(hung(limitMs, scratch)), limitMs)
    examiner.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-2_000)
    })
    examiner.on('message', (told: Told) => {
      if (told.kind === 'scratch') {
        scratch = told.folder
        return
      }
      timer.refresh()
      left.shift()
      tell(told.finding)
    })
    examiner.on('error', (error) => stop(fail(`it cannot be tried: ${error.message}`)))
    examiner.on('close', (code, signal) => {
      if (left.length === 0) end()
      else stop(fail(`the process that tries it has ended (${signal ?? code}): ${stderr.trim()}`))
    })
  })
}

function hung(limitMs: number, scratch: string | undefined): Verdict {
  const made = scratch === undefined ? '' : `, and ${scratch} is removed once it does`
  const found = `no answer within ${limitMs / 1_000} s: the disk hangs${made}`
  return fail(
    found,
    `sudo dmesg | tail # and look at the disk${scratch === undefined ? '' : `; later: ls ${quoteArgument(scratch)}`}`,
  )
}

/** So that this process can end; the other ends when the disk lets it. */
function letGo(examiner: ChildProcess): void {
  examiner.removeAllListeners()
  examiner.stderr?.destroy()
  if (examiner.connected) examiner.disconnect()
  examiner.unref()
}
