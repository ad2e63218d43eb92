import { fail, merged, ok, warn } from '../../../src/cli/doctor/finding'
import { checkClock, softLimit } from '../../../src/cli/doctor/host-checks'
import { judge, matches, parseRules } from '../../../src/cli/doctor/logrotate'
import { innermostMount } from '../../../src/toolkit/disk/disk'

const CONFIG = `# see "man logrotate"
weekly
include /etc/logrotate.d
/var/log/x0x/*.log "/srv/with space/exec.log" {
    daily
    compress # at once
}
/var/log/one.log
/var/log/two.log
{
    copytruncate
}
/var/log/plain.log { 
  rotate 4
  compress
  delaycompress
}
`

describe('a rule of logrotate', () => {
  const rules = parseRules('x0x', CONFIG)

  it('is read with its paths and directives', () => {
    expect(rules).toEqual([
      {
        file: 'x0x',
        patterns: ['/var/log/x0x/*.log', '/srv/with space/exec.log'],
        directives: ['daily', 'compress'],
      },
      {
        file: 'x0x',
        patterns: ['/var/log/one.log', '/var/log/two.log'],
        directives: ['copytruncate'],
      },
      {
        file: 'x0x',
        patterns: ['/var/log/plain.log'],
        directives: ['rotate 4', 'compress', 'delaycompress'],
      },
    ])
  })

  it('is warned about if it may lose lines', () => {
    expect(rules.map(judge)).toEqual([
      warn(
        'x0x compresses it at once, and may lose a line that is just being written',
        "sudo sed -i 's/^\\s*compress\\s*$/&\\n    delaycompress/' x0x",
      ),
      warn(
        'x0x rotates it by copytruncate, which loses the lines written while it copies; the writer follows a rename by itself',
        "sudo sed -i '/^\\s*copytruncate/d' x0x",
      ),
      ok('x0x rotates it by rename, which the writer follows'),
    ])
  })

  it.each([
    ['/var/log/a.log', '/var/log/*.log', true],
    ['/var/log/a/b.log', '/var/log/*.log', false],
    ['/var/log/a.log', '/var/log/?.log', true],
    ['/var/log/ab.log', '/var/log/?.log', false],
    ['/var/log/a.log', '/var/log/[a-c].log', true],
    ['/var/log/d.log', '/var/log/[!a-c].log', true],
    ['/var/log/axlog', '/var/log/a.log', false],
    ['/var/log/a+(b).log', '/var/log/a+(b).log', true],
  ])('is for %s by %s: %p', (path, pattern, isFor) => {
    expect(matches(path, pattern)).toBe(isFor)
  })
})

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
