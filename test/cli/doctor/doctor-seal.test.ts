import { chmodSync, chownSync, utimesSync, writeFileSync } from 'node:fs'
import { initSeal } from '../../../src/seal/sealer/open-sealer'
import { findingsOf } from '../../support/doctor'
import { itWithMounts } from '../../support/privileged'
import { newPlace } from '../../support/seal/sealer-place'
import { useTempDir } from '../../support/temp-dir'

const GATEWAY = 12_345

describe("doctor's look at the seal", () => {
  const dir = useTempDir()

  // Only root can give the log to another user.
  itWithMounts(
    'finds who can change it, read its key, and a sealer that does not run',
    async () => {
      const place = newPlace(dir.path('.'))
      await initSeal(place)
      writeFileSync(place.log, 'a\n')
      chownSync(place.log, GATEWAY, GATEWAY)
      const sealLines = async () => {
        const options = ['--seal', place.seal, '--seal-key', dir.path('key.pem')]
        const { lines } = await findingsOf([place.log, ...options])
        return lines
          .filter((line) => /^\w+ seal/.test(line))
          .map((line) => line.replaceAll(dir.path('.'), 'DIR'))
      }
      expect(await sealLines()).toEqual([
        'ok seal: root alone can change DIR/seal $ undefined',
        'ok seal lag: the log is sealed up to its end $ undefined',
        'ok seal key: root alone can read the key $ undefined',
      ])
      const longAgo = Date.now() / 1_000 - 600
      utimesSync(place.log, longAgo, longAgo)
      utimesSync(`${place.seal}/checkpoint`, longAgo - 1, longAgo - 1)
      chownSync(place.seal, GATEWAY, GATEWAY)
      chmodSync(dir.path('key.pem'), 0o640)
      const found = await sealLines()
      expect(found.map((line) => line.replace(/\d+ s ago/, 'N s ago'))).toEqual([
        `fail seal: ${GATEWAY} writes the log and owns its seal, and so can change both $ # run the sealer as a user of its own: docs/seal/x0x-seal.service`,
        'fail seal lag: the log changed N s ago and is not sealed since: the sealer does not run, or will not sign $ systemctl status x0x-seal',
        'fail seal key: others than its owner can read DIR/key.pem $ chmod 600 DIR/key.pem',
      ])
    },
  )
})
