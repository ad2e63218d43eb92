import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'

/** The begin or the end of a traced system call. */
export interface TracedCall {
  readonly name: string
  /** As strace prints them; strings are escaped. */
  readonly args: string
  /** Its return value, -1 for an error. Undefined at the begin. */
  readonly result: number | undefined
}

/** Receives the begin and end of each call, in the kernel's order. */
export interface TraceListener {
  onBegin(call: TracedCall): void
  onEnd(call: TracedCall & { readonly result: number }): void
}

const WHOLE = /^(\d+) +(\w+)\((.*)\) += (-?\d+)/
const BEGUN = /^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$/
const RESUMED = /^(\d+) +<\.\.\. \w+ resumed>.*\) += (-?\d+)/

/** Reads the output of `strace -f -o` line by line, since a trace may be larger than the memory. */
export async function readTrace(file: string, listener: TraceListener): Promise<void> {
  const begun = new Map<string, TracedCall>()
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const [, begunBy, begunName = '', begunArgs = ''] = BEGUN.exec(line) ?? []
    if (begunBy !== undefined) {
      const call = { name: begunName, args: begunArgs, result: undefined }
      begun.set(begunBy, call)
      listener.onBegin(call)
      continue
    }
    const [, resumedBy, resumedResult] = RESUMED.exec(line) ?? []
    if (resumedBy !== undefined) {
      const call = begun.get(resumedBy)
      begun.delete(resumedBy)
      if (call !== undefined) listener.onEnd({ ...call, result: Number(resumedResult) })
      continue
    }
    const [, thread, name = '', args = '', result] = WHOLE.exec(line) ?? []
    if (thread === undefined) continue
    const call = { name, args, result: undefined }
    listener.onBegin(call)
    listener.onEnd({ ...call, result: Number(result) })
  }
}
