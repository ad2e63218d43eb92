import { hintFor, nearest } from '../../src/base/names'

const RUN = ['argv', 'requestId', 'timeoutMs', 'limits', 'uid', 'gid', 'cwd', 'cancel']

describe('the hint at a name that is not known', () => {
  it.each([
    ['time', 'timeoutMs'],
    ['timeout', 'timeoutMs'],
    ['Timeout_ms', 'timeoutMs'],
    ['id', 'uid'],
    ['request_id', 'requestId'],
    ['argz', 'argv'],
    ['limit', 'limits'],
    ['cancell', 'cancel'],
  ])('names what is meant by %s: %s', (name, meant) => {
    expect(nearest(name, RUN)).toBe(meant)
  })

  it.each(['colour', 'x', '', 'shell', 'retries', 'y'.repeat(10_000)])(
    'names nothing for %s, which is like none',
    (name) => expect(nearest(name, RUN)).toBe(undefined),
  )

  it('lists what is known in either case', () => {
    const known = new Map([['signal', 'cancel']])
    expect(hintFor('abort', ['cancel', 'argv'])).toBe('known are cancel, argv')
    expect(hintFor('sigal', ['cancel', 'argv'], known)).toBe(
      'did you mean cancel? Known are cancel, argv',
    )
  })
})
