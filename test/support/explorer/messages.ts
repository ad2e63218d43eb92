import type { MessagePort } from 'node:worker_threads'
import type { SessionTask } from '../../../src/writer/ring/messages'

/** From the calling thread to the worker's. */
export type ToWorker =
  | { readonly kind: 'start'; readonly life: number }
  | {
      readonly kind: 'run'
      readonly life: number
      readonly id: number
      readonly name: string
      readonly task: unknown
    }

/** From the worker's thread back. */
export type ToCaller =
  | { readonly kind: 'online' | 'gone'; readonly life: number }
  | { readonly kind: 'answer'; readonly id: number }

/** What both threads are started with. */
export interface RoleData {
  readonly control: SharedArrayBuffer
  readonly dist: string
  readonly isTraced: boolean
  readonly port: MessagePort
}

/** The runs to make: seeds from `first` on. */
export interface Order {
  readonly first: number
  readonly count: number
  readonly folder: string
}

/** What came of them, or of the first that showed a broken promise. */
export interface Tally {
  readonly runs: number
  readonly events: number
  readonly points: number
  readonly switches: number
  readonly kills: number
  readonly exits: number
}

export type Result =
  | { readonly problem: undefined; readonly tally: Tally }
  | { readonly problem: string; readonly seed: number }

/** Whether a task's value is that of a session; it came from the package itself. */
export function isSessionTask(value: unknown): value is SessionTask {
  return typeof value === 'object' && value !== null && 'config' in value && 'oversize' in value
}
