import fs from 'node:fs'
import { CALLER, type Control } from './control'
import type { PlayedAtomics } from './played-atomics'
import type { Report, Turns } from './turns'

/*
 * The log lies in a file system of the kernel's, but a sync only notes how much of the log it covers. Each call
 * is a point. Descriptors that a dead worker leaves to nobody are closed at the end of a run.
 */

const { closeSync, fstatSync, openSync, readFileSync, writeSync } = fs

/** The file calls of one thread of a run. */
export class PlayedFiles {
  readonly #turns: Turns
  readonly #control: Control
  readonly #atomics: PlayedAtomics
  readonly #report: Report
  path = ''

  constructor(turns: Turns, atomics: PlayedAtomics, report: Report) {
    this.#turns = turns
    this.#control = turns.control
    this.#atomics = atomics
    this.#report = report
  }

  /** Puts this in the place of Node's, for the code that is loaded from now on. */
  install(): void {
    const sync = (fd: number) => {
      this.#turns.point()
      this.#check('syncs')
      const stats = fstatSync(fd)
      this.#turns.trace?.(`sync ${fd} (${stats.size})`)
      // A point in the middle: what comes meanwhile is not covered.
      this.#turns.point()
      if (stats.isFile()) this.#noteSynced(stats.size)
    }
    Object.assign(fs, {
      openSync: (...args: Parameters<typeof openSync>) => {
        this.#turns.point()
        const fd = openSync(...args)
        this.#control.descriptors[fd] = 1
        return fd
      },
      closeSync: (fd: number) => {
        this.#turns.point()
        this.#control.descriptors[fd] = 0
        closeSync(fd)
      },
      writeSync: (fd: number, ...rest: [Buffer, number?, number?, number?]) => {
        this.#turns.point()
        this.#check('writes')
        this.#turns.trace?.(`write ${fd}`)
        return writeSync(fd, ...rest)
      },
      fdatasyncSync: sync,
      fsyncSync: sync,
    })
  }

  /** Whether the log as it was synced has the first `events` events. */
  hasSynced(events: number): boolean {
    const synced = readFileSync(this.path).subarray(0, this.#control.get('syncedBytes'))
    const pids = new Set(pidsOf(synced.toString()))
    for (let pid = 0; pid < events; pid++) if (!pids.has(pid)) return false
    return true
  }

  /** The events of the log, in its order. */
  readPids(): number[] {
    return pidsOf(readFileSync(this.path, 'utf8'))
  }

  /** Closes what either thread has left open. */
  closeAll(): void {
    const { descriptors } = this.#control
    for (let fd = descriptors.indexOf(1); fd !== -1; fd = descriptors.indexOf(1, fd + 1)) {
      descriptors[fd] = 0
      closeSync(fd)
    }
  }

  #noteSynced(size: number): void {
    if (size > this.#control.get('syncedBytes')) this.#control.set('syncedBytes', size)
  }

  /** Only the holder of DRAINER writes and syncs. */
  #check(does: string): void {
    const holder = this.#atomics.drainer
    const self = this.#turns.role === CALLER ? -1 : this.threadId
    if (holder !== self) this.#report(`thread ${self} ${does}, but ${holder} is the drainer`)
  }

  /** This thread's id, in the words of the DRAINER word. */
  get threadId(): number {
    return threadIdOf(this.#control.get('life'))
  }
}

const FIRST_THREAD_ID = 1_000

/** The id of a worker's thread: each life has one of its own. */
export function threadIdOf(life: number): number {
  return FIRST_THREAD_ID + life
}

/** Whether that thread has ended. */
export function isThreadGone(control: Control, threadId: number): boolean {
  return threadId > FIRST_THREAD_ID && threadId <= threadIdOf(control.get('gone'))
}

function pidsOf(text: string): number[] {
  return Array.from(text.matchAll(/"pid":(\d+)}\n/g), ([, pid]) => Number(pid))
}
