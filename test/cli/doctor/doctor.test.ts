import { fail, merged, ok, warn } from '../../../src/cli/doctor/finding'
import { checkClock, softLimit } from '../../../src/cli/doctor/host-checks'
import { innermostMount } from '../../../src/toolkit/disk/disk'

describe('the facts read from the machine', () => {
  it('is the soft limit', () => {
    const limits =
      'Limit                     Soft Limit           Hard Limit           Units     \nMax file size             unlimited            unlimited            bytes     \nMax open files            1024                 524288               files     \n'
    expect(softLimit(limits, 'Max open files')).toBe(1_024)
    expect(softLimit(limits, 'Max file size')).toBe(Number.POSITIVE_INFINITY)
  })

  it('is a clock that must have been set', () => {
    expect(checkClock(Date.UTC(2026, 0, 1)).status).toBe('ok')
    expect(checkClock(Date.UTC(1970, 0, 1, 0, 5))).toEqual(
      fail(
        "1970-01-01T00:05:00.000Z, which is long past, and so will be the events' times",
        'timedatectl set-ntp true',
      ),
    )
  })

  it('is how a disk is mounted', () => {
    const table = '29 1 8:1 / / rw,noatime shared:1 - ext4 /dev/sda1 rw,nobarrier\n'
    expect(innermostMount(table, '/var')?.options).toEqual(['rw', 'noatime', 'rw', 'nobarrier'])
  })
})

describe('several findings of one check', () => {
  it('are as grave as the gravest, and report only the faults', () => {
    expect(merged([ok('a'), ok('b')])).toEqual(ok('a; b'))
    expect(merged([ok('a'), warn('b', 'x'), fail('c', 'y')])).toEqual(fail('b; c', 'x\ny'))
    expect(merged([warn('a', 'x'), warn('b', 'x')])).toEqual(warn('a; b', 'x'))
  })
})
