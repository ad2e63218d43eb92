'use strict'
// The drainer of ring.stress.test.ts. It runs the compiled ring, as the package's own worker does.
const { parentPort, workerData } = require('node:worker_threads')
const { TAIL, viewMemory } = require('../../../dist/writer/ring/memory-map.js')
const { LENGTH_OFFSET, REQUEST_ID_OFFSET } = require('../../../dist/writer/ring/record-header.js')
const { CORRUPT, EMPTY, RingConsumer } = require('../../../dist/writer/ring/ring.js')
const { park } = require('../../../dist/writer/ring/wake-up.js')

const { buffer, total, parkMs, lengths, failEvery } = workerData
/** Parks in a row without a record, after which the drainer takes the producer for dead. */
const IDLE_PARKS_MAX = 2

const { ring } = viewMemory(buffer)
const consumer = new RingConsumer(ring)
const report = { records: 0, parks: 0, error: '' }
let idleParks = 0

/** The fault of the record at `index`, which should be the next in sequence; '' if there is none. */
function faultOf(index) {
  const { view, bytes } = consumer.records
  const sequence = report.records
  const length = view.getUint32(index + LENGTH_OFFSET, true)
  if (length !== lengths[sequence % lengths.length]) return `record ${sequence}: length=${length}`
  const found = view.getUint32(index + REQUEST_ID_OFFSET, true)
  if (found !== sequence) return `record ${sequence}: sequence=${found}`
  for (let at = REQUEST_ID_OFFSET + 4; at < length; at++) {
    if (bytes[index + at] !== ((sequence + at) & 0xff)) return `record ${sequence}: torn at ${at}`
  }
  return ''
}

/** Reads all records there are; returns false at a fault. */
function readAll() {
  consumer.refill()
  for (;;) {
    const index = consumer.next()
    if (index === EMPTY) return true
    report.error = index === CORRUPT ? `record ${report.records}: corrupt` : faultOf(index)
    if (report.error !== '') return false
    if (report.records % failEvery === 0) {
      consumer.markFailed(consumer.readPosition, report.records + 1)
    }
    consumer.advance()
    report.records++
  }
}

/** Sleeps until woken; returns false if a wake-up was lost or the producer has gone silent. */
function sleep() {
  report.parks++
  const seenTail = consumer.copiedPosition
  if (park(ring, seenTail, parkMs)) {
    idleParks = 0
    return true
  }
  if (Atomics.load(ring.words, TAIL) !== seenTail) report.error = 'lost wake-up'
  else if (++idleParks === IDLE_PARKS_MAX) report.error = 'the producer has gone silent'
  return report.error === ''
}

function step() {
  if (!readAll()) return false
  if (consumer.readPosition === consumer.durablePosition) return sleep()
  consumer.publish(consumer.readPosition)
  return true
}

parentPort.postMessage(report)
while (report.records < total && step());
consumer.publish(consumer.readPosition)
parentPort.postMessage(report)
