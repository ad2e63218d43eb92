import { MessageChannel } from 'node:worker_threads'
import type { OversizeRecord } from '../../../src/writer/ring/messages'
import { OversizeInbox, OversizeStore } from '../../../src/writer/ring/oversize'

const record = (id: number): OversizeRecord => ({ id, buffer: new SharedArrayBuffer(id * 8) })

function task(oversize: readonly OversizeRecord[]) {
  const { port1, port2 } = new MessageChannel()
  return [{ port: port2, oversize }, { port1 }] as const
}

describe('OversizeInbox', () => {
  it('finds the records of its session, and those that its port has brought since', () => {
    const [session, { port1 }] = task([record(1), record(2)])
    const inbox = new OversizeInbox(session)
    port1.postMessage(record(3))
    port1.postMessage(record(4))
    expect(inbox.get(2)?.byteLength).toBe(16)
    expect(inbox.get(4)?.byteLength).toBe(32)
    port1.close()
  })

  it('drops the records before the one it returns, but none for an unknown id', () => {
    const [session, { port1 }] = task([record(1), record(2), record(3)])
    const inbox = new OversizeInbox(session)
    expect(inbox.get(99)).toBeUndefined()
    expect(inbox.get(2)?.byteLength).toBe(16)
    expect(inbox.get(1)).toBeUndefined()
    expect(inbox.get(3)?.byteLength).toBe(24)
    port1.close()
  })
})

describe('OversizeStore', () => {
  it('keeps records until the durable position has passed their references', () => {
    const store = new OversizeStore()
    expect(store.nextId).toBe(1)
    store.add(new SharedArrayBuffer(100), -48)
    store.add(new SharedArrayBuffer(200), 0)
    expect([store.get(1)?.byteLength, store.get(2)?.byteLength, store.nextId]).toEqual([
      100, 200, 3,
    ])
    expect(store.releaseBefore(-48)).toBe(0)
    expect(store.releaseBefore(0)).toBe(100)
    expect(store.all().map(({ id }) => id)).toEqual([2])
    expect([store.releaseBefore(48), store.releaseBefore(48), store.all()]).toEqual([200, 0, []])
  })
})
