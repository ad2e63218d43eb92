import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readlinkSync,
  realpathSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { codeOf } from '../../base/describe'
import { type CliError, messageOf } from './errors'

/** A file that the command uses for something else. */
export interface UsedFile {
  /** What it is, for people. */
  readonly what: string
  readonly path: string
}

const STREAMS = ['standard input', 'standard output', 'standard error']
const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_NOCTTY
const LINKS_MAX = 40

/**
 * A file that the command writes once its work is done. Mistakes are reported before the work, which
 * leaves the file alone: it is opened, and emptied, only to be written.
 */
export class OutputFile {
  readonly #option: string
  readonly #path: string
  readonly #used: readonly UsedFile[]
  readonly #fail: (message: string) => CliError

  /**
   * @param option what has named it, such as `--json`
   * @param used files that it must not be, by whatever name
   */
  constructor(
    option: string,
    path: string,
    { used, fail }: { used: readonly UsedFile[]; fail: (message: string) => CliError },
  ) {
    this.#option = option
    this.#path = path
    this.#used = used
    this.#fail = fail
    this.#attempt(() => this.#check())
  }

  /** Writes it, readable for this user alone if it is new. */
  write(text: string): void {
    this.#attempt(() => {
      const fd = openSync(this.#path, FLAGS, 0o600)
      try {
        const stats = fstatSync(fd)
        // What had no file before the work may have one by now.
        this.#checkIdentity(stats)
        if (stats.isFile()) ftruncateSync(fd)
        writeFileSync(fd, text)
      } finally {
        closeSync(fd)
      }
    })
  }

  #attempt(action: () => void): void {
    try {
      action()
    } catch (thrown) {
      throw this.#fail(`${this.#option}: ${messageOf(thrown)}`)
    }
  }

  #check(): void {
    const stats = statSync(this.#path, { throwIfNoEntry: false })
    if (stats?.isDirectory()) throw new Error(`${this.#path} is a folder; name a file`)
    const target = targetOf(this.#path)
    const same = this.#used.find(({ path }) => targetOf(path) === target)
    if (same !== undefined) throw this.#sameAs(same.what)
    if (stats !== undefined) this.#checkIdentity(stats)
    accessSync(stats === undefined ? dirname(target) : target, constants.W_OK)
  }

  #checkIdentity(stats: Stats): void {
    // A terminal or a pipe may well be two things.
    if (!stats.isFile()) return
    for (const { what, path } of this.#used) {
      if (isSame(stats, statSync(path, { throwIfNoEntry: false }))) throw this.#sameAs(what)
    }
    const stream = streamOf(stats, [0, 1, 2])
    if (stream !== undefined) throw this.#sameAs(stream)
  }

  #sameAs(what: string): Error {
    return new Error(`${this.#path} is ${what}, which it would overwrite; name another file`)
  }
}

/** The standard stream that output goes to and that is this very file, if there is one. */
export function outputStreamOf(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats?.isFile() ? streamOf(stats, [1, 2]) : undefined
}

/** Whether both names lead to one file that is there. */
export function isSameFile(path: string, other: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats !== undefined && isSame(stats, statSync(other, { throwIfNoEntry: false }))
}

function streamOf(stats: Stats, fds: readonly number[]): string | undefined {
  const fd = fds.find((each) => isSame(stats, statsOf(each)))
  return fd === undefined ? undefined : STREAMS[fd]
}

function isSame({ dev, ino }: Stats, other: Stats | undefined): boolean {
  return other !== undefined && other.dev === dev && other.ino === ino
}

function statsOf(fd: number): Stats | undefined {
  try {
    return fstatSync(fd)
  } catch {
    return undefined
  }
}

/** The file that would be opened or made under this name. */
function targetOf(path: string, links = 0): string {
  const whole = resolve(path)
  try {
    return realpathSync(whole)
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT' || whole === dirname(whole)) return whole
  }
  const link = linkAt(whole)
  if (link !== undefined && links < LINKS_MAX) {
    return targetOf(resolve(dirname(whole), link), links + 1)
  }
  return join(targetOf(dirname(whole), links), basename(whole))
}

/** Where a link leads; undefined if it is none. */
function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}
