'use strict'
// The storm of path-storm.fault.test.ts, a process of its own: it takes the log away in all sorts of ways,
// by a seeded choice. Everything that was ever in the log ends up in the archive:
//   renamed-N   a file that was renamed; the writer may go on in it, since it has a name
//   copied-N    the copy of a copytruncate
//   deleted-N   a file that was unlinked, with its contents at that moment
//   nameless-N  the bytes that were appended to it after that
const fs = require('node:fs')
const { dirname, join } = require('node:path')
const [path, archive, seed, milliseconds, ...choices] = process.argv.slice(2)

let state = Number(seed)
const random = () => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
  return state / 2 ** 32
}
const pause = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
const deleted = []
let count = 0

function unlink() {
  const fd = fs.openSync(path, 'r')
  try {
    fs.unlinkSync(path)
  } catch (error) {
    fs.closeSync(fd)
    throw error
  }
  deleted.push({ fd, bytes: fs.fstatSync(fd).size, number: count })
}

const OPERATIONS = {
  rename: () => fs.renameSync(path, join(archive, `renamed-${count}`)),
  unlink,
  removeFolder() {
    try {
      unlink()
    } finally {
      fs.rmdirSync(dirname(path))
    }
  },
  copytruncate() {
    fs.copyFileSync(path, join(archive, `copied-${count}`))
    fs.truncateSync(path)
  },
  chmod() {
    const target = random() < 0.5 ? path : dirname(path)
    const { mode } = fs.statSync(target)
    fs.chmodSync(target, 0)
    pause(random() * 10)
    fs.chmodSync(target, mode)
  },
}

/** On a slow disk it takes the writer long to make the next file. */
const OPERATIONS_MIN = 21
const end = performance.now() + Number(milliseconds)
let done = 0
while (performance.now() < end || done < OPERATIONS_MIN) {
  count++
  try {
    OPERATIONS[choices[Math.floor(random() * choices.length)]]()
    done++
  } catch (error) {
    // Nothing is there yet, or the writer was faster.
    if (!['ENOENT', 'ENOTEMPTY'].includes(error.code)) throw error
  }
  pause(random() * 10)
}
fs.writeSync(1, `${done}\n`)

// The writer may still write to unlinked files, so these are read when it has ended.
process.stdin.resume().on('end', () => {
  for (const { fd, bytes, number } of deleted) {
    const text = fs.readFileSync(fd)
    // A size that was taken in the middle of a write may be that of half a line.
    const cut = bytes === 0 ? 0 : text.indexOf('\n', bytes - 1) + 1 || text.length
    fs.writeFileSync(join(archive, `deleted-${number}`), text.subarray(0, cut))
    fs.writeFileSync(join(archive, `nameless-${number}`), text.subarray(cut))
  }
})
