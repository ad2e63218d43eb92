import { codeOf } from '../../base/describe'
import { quoteArgument } from '../shared/escape'
import {
  checkAppend,
  checkFileSystem,
  checkInodes,
  checkSpace,
  checkSync,
  checkWriteCache,
} from './disk-checks'
import { type Finding, fail, untried, type Verdict } from './finding'
import { checkClock, checkLimits, checkNode, checkPermissions, checkUser } from './host-checks'
import {
  checkFolder,
  checkLog,
  checkTail,
  checkWritable,
  spaceRemedy,
  systemText,
} from './log-checks'
import { checkRotation } from './logrotate'
import { areKnown, checkCommands } from './reach'
import { checkRoundTrip, checkWorker } from './round-trip'
import { checkSealFolder, checkSealKey, checkSealLag } from './seal-checks'
import { closedText, type Subject } from './subject'

type Check = (subject: Subject) => Verdict | Promise<Verdict>

/** The checks that need no log. */
const HOST_CHECKS: readonly [name: string, check: Check][] = [
  ['node', checkNode],
  ['user', checkUser],
  ['clock', () => checkClock()],
  ['permissions', checkPermissions],
  ['limits', checkLimits],
  ['worker', checkWorker],
]

const LOG_AND_COMMANDS = ifSeen(checkCommands)

/** The checks that read come before those that write, so that a disk that hangs is met late. */
const LOG_CHECKS: readonly [name: string, check: Check][] = [
  ['rotation', checkRotation],
  ['file system', checkFileSystem],
  ['folder', checkFolder],
  ['log', ifSeen(checkLog)],
  ['commands', LOG_AND_COMMANDS],
  ['tail', ifSeen(checkTail)],
  ['write cache', checkWriteCache],
  ['space', checkSpace],
  ['inodes', checkInodes],
  ['writable', ifSeen(checkWritable)],
  ['append', checkAppend],
  ['sync', checkSync],
  ['round trip', checkRoundTrip],
]

const SEAL_CHECKS: readonly [name: string, check: Check][] = [
  ['seal', checkSealFolder],
  ['seal lag', checkSealLag],
]
const SEAL_KEY_CHECKS: readonly [name: string, check: Check][] = [['seal key', checkSealKey]]

/** A folder that does not let this user in is reported once, whatever it hides. */
function ifSeen(check: Check): Check {
  return (subject) => {
    const { closedFolder } = subject
    return closedFolder === undefined ? check(subject) : untried(closedText(closedFolder))
  }
}

/** The names of the checks, in their order. */
export function checkNames(subject: Examined): string[] {
  return checksFor(subject).map(([name]) => name)
}

type Examined = Pick<Subject, 'hasLog' | 'commands' | 'seal'>

function checksFor({ hasLog, commands, seal }: Examined) {
  if (!hasLog) return HOST_CHECKS
  const checks = [
    ...HOST_CHECKS,
    ...LOG_CHECKS,
    ...(seal?.folder === undefined ? [] : SEAL_CHECKS),
    ...(seal?.key === undefined ? [] : SEAL_KEY_CHECKS),
  ]
  return areKnown(commands) ? checks : checks.filter(([, check]) => check !== LOG_AND_COMMANDS)
}

/** Runs the checks one after the other, and reports each finding. Never rejects. */
export async function runChecks(subject: Subject, tell: (finding: Finding) => void): Promise<void> {
  for (const [check, run] of checksFor(subject)) {
    tell({ check, ...(await attempt(() => run(subject), subject)) })
  }
  const left = cleaned(subject)
  if (left !== undefined) tell({ check: 'cleaning up', ...left })
}

async function attempt(
  run: () => Verdict | Promise<Verdict>,
  { folder }: Subject,
): Promise<Verdict> {
  try {
    return await run()
  } catch (thrown) {
    return fail(systemText(thrown), spaceRemedy(codeOf(thrown), folder))
  }
}

function cleaned(subject: Subject): Verdict | undefined {
  try {
    subject.clean()
    return undefined
  } catch (thrown) {
    const folder = quoteArgument(subject.folder)
    const remedy = `sudo chattr -a ${folder} && rm -r ${folder}/.x0x-exec-audit-doctor-*`
    return fail(
      `what was made for the checks cannot be removed: ${systemText(thrown, true)}`,
      remedy,
    )
  }
}
