import { MessageChannel } from 'node:worker_threads'
import { JOURNAL_START, JOURNAL_STATE, viewMemory } from '../../../src/writer/ring/memory-map'
import { RING_FIELD, SESSION_TASK, type SessionTask } from '../../../src/writer/ring/messages'
import { CALLER, WORKER } from './control'
import { isSessionTask, type ToCaller, type ToWorker } from './messages'
import { RoleThread } from './role'
import { Death } from './turns'

/*
 * The worker's thread of the runs: one after another it is each worker that a run's pool starts. It runs the real
 * worker's file.
 */

const JOURNAL_VOID = 0
const JOURNAL_DOUBTED = 2

/** Notices of the drainer end here. */
const { port1: noticePort } = new MessageChannel()

const thread = new RoleThread(WORKER, (message) => onMessage(message))
const { control, turns, loop, atomics } = thread
const entry: { readonly [SESSION_TASK]?: (task: SessionTask) => void } = thread.load(
  'writer/worker/exec-audit-worker',
)

function post(message: ToCaller): void {
  thread.post(message)
}

function isToWorker(message: unknown): message is ToWorker {
  return typeof message === 'object' && message !== null && 'life' in message
}

function onMessage(message: unknown): void {
  if (!isToWorker(message) || message.life !== control.get('life')) return
  if (control.get('gone') >= message.life) return
  turns.trace?.(`message ${message.kind}`)
  if (message.kind === 'start') {
    post({ kind: 'online', life: message.life })
    return
  }
  if (message.name === SESSION_TASK && isSessionTask(message.task)) {
    const task = { ...message.task, port: noticePort }
    atomics.memory = viewMemory(task[RING_FIELD])
    thread.files.path = task.config.sink.path
    const serve = entry[SESSION_TASK] ?? thread.report('the worker has no such task')
    serve(task)
  }
  post({ kind: 'answer', id: message.id })
}

/** The shared memory as it was when the worker died. */
let legacy: Uint8Array | undefined
turns.onDeath = () => {
  legacy = atomics.memory && new Uint8Array(atomics.memory.buffer).slice()
}

/** This worker has ended. JavaScript cannot be stopped, so its work may have left plain stores behind since. */
function bury(): void {
  if (legacy !== undefined && atomics.memory !== undefined) {
    new Uint8Array(atomics.memory.buffer).set(legacy)
  }
  legacy = undefined
  const life = control.get('life')
  turns.isDead = false
  loop.reset()
  atomics.reset()
  if (control.get('gone') >= life) return
  noteDeath()
  atomics.memory = undefined
  control.set('gone', life)
  turns.trace?.(`death of ${life}`)
  post({ kind: 'gone', life })
}

/** A group may stand twice if the worker dies while it asks the error probe, or is the second to die in it. */
function noteDeath(): void {
  const { memory } = atomics
  if (memory === undefined) return
  const state = memory.journal.words[JOURNAL_STATE] ?? JOURNAL_VOID
  const start = memory.journal.words[JOURNAL_START] ?? 0
  const isSecond = state !== JOURNAL_VOID && start === control.get('deathStart')
  if (state === JOURNAL_DOUBTED || isSecond) control.add('excuses', 1)
  if (state !== JOURNAL_VOID) control.set('deathStart', start)
}

async function live(): Promise<void> {
  for (;;) {
    try {
      await loop.run(() => control.get('isOver') !== 0)
    } catch (thrown) {
      if (!(thrown instanceof Death)) thread.report(`the worker throws ${String(thrown)}`)
    }
    bury()
    if (control.get('isOver') === 0) continue
    // Whatever has come for this run is of no interest to the next.
    thread.dropMessages()
    control.passTo(CALLER)
    control.awaitToken(WORKER)
  }
}

thread.begin()
control.awaitToken(WORKER)
void live()
