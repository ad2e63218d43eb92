/*
 * The worker of idle-call.ts: counts the lines it is sent, and answers the end with their number.
 */
'use strict'
const { parentPort } = require('node:worker_threads')

let count = 0
parentPort.on('message', (line) => {
  if (line === null) parentPort.postMessage(count)
  else count++
})
