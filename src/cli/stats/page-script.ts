/**
 * The script of the page. It makes every element by name and every text as text: nothing in the data can become
 * markup. It knows the data as `PageData` of page.ts has it.
 */
export const PAGE_SCRIPT = `
'use strict'
const data = JSON.parse(document.getElementById('data').textContent)
const SVG = 'http://www.w3.org/2000/svg'
const main = document.querySelector('main')
const count = (value) => value.toLocaleString('en-US')

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.append(...children)
  return made
}

function shape(name, attributes, text) {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  if (text !== undefined) made.textContent = text
  return made
}

function head() {
  const { verdict } = data
  main.append(
    element('h1', {}, data.title),
    element('p', {}, data.span),
    element('p', {}, element('span', { class: 'verdict ' + verdict.kind }, verdict.word), ' ' + verdict.text),
  )
  const tiles = data.tiles.map(({ name, value }) => element('div', { class: 'tile' }, element('b', {}, count(value)), name))
  main.append(element('div', { class: 'tiles' }, ...tiles))
}

const SERIES = [['requests', 'requests', 'ask'], ['denials', 'denials', 'deny'], ['failures', 'failures', 'fail']]

function timeline() {
  const { buckets, period, lengthMs } = data.timeline
  if (buckets.length === 0) return
  const keys = SERIES.map(([, name, style]) => element('span', { class: 'key' }, element('i', { class: style }), name))
  main.append(element('h2', {}, 'Per ' + period), element('p', {}, ...keys))
  const [width, height, left, bottom] = [Math.max(300, main.clientWidth), 64, 50, 16]
  const firstMs = buckets[0].startMs
  const scale = (width - left) / (buckets.at(-1).startMs + lengthMs - firstMs)
  const step = lengthMs * scale
  for (const [field, name, style] of SERIES) {
    const max = Math.max(1, ...buckets.map((bucket) => bucket[field]))
    const label = name + ' per ' + period + ', at most ' + count(max)
    const chart = shape('svg', { viewBox: [0, 0, width, height + bottom].join(' '), role: 'img', 'aria-label': label })
    for (const bucket of buckets) {
      if (bucket[field] === 0) continue
      const high = Math.max(1, (bucket[field] / max) * (height - 12))
      const bar = shape('rect', { class: style, x: left + (bucket.startMs - firstMs) * scale, y: height - high, width: Math.max(0.8, step * 0.85), height: high })
      bar.append(shape('title', {}, bucket.label + ': ' + count(bucket[field]) + ' ' + name))
      chart.append(bar)
    }
    chart.append(shape('text', { x: left - 6, y: 14, 'text-anchor': 'end' }, count(max)))
    chart.append(shape('text', { x: left - 6, y: height, 'text-anchor': 'end' }, '0'))
    chart.append(shape('text', { x: left, y: height + 13 }, buckets[0].label))
    chart.append(shape('text', { x: width, y: height + 13, 'text-anchor': 'end' }, name + ', to ' + buckets.at(-1).label))
    main.append(chart)
  }
}

function list({ title, columns, rows, note }) {
  if (rows.length === 0) return ''
  const heads = columns.map((name, i) => element('th', { scope: 'col', class: i === 0 ? '' : 'number' }, name))
  const body = rows.map((row) => element('tr', {}, ...row.map((cell, i) => element('td', { class: i === 0 ? 'name' : 'number' }, i === 0 ? cell : count(cell)))))
  const table = element('table', {}, element('thead', {}, element('tr', {}, ...heads)), element('tbody', {}, ...body))
  return element('section', {}, element('h2', {}, title), element('div', { class: 'scroll' }, table), element('p', {}, note))
}

function durations() {
  const bars = data.durations
  if (bars.length === 0) return ''
  const max = Math.max(...bars.map((bar) => bar.count))
  const [width, row, left, right] = [420, 18, 90, 60]
  const chart = shape('svg', { viewBox: [0, 0, width, bars.length * row].join(' '), role: 'img', 'aria-label': 'how long commands ran' })
  for (const [i, bar] of bars.entries()) {
    const y = i * row
    chart.append(shape('text', { x: left - 6, y: y + 13, 'text-anchor': 'end' }, bar.name))
    const wide = (bar.count / max) * (width - left - right)
    if (bar.count > 0) chart.append(shape('rect', { class: 'ask', x: left, y: y + 3, width: Math.max(1, wide), height: row - 6 }))
    chart.append(shape('text', { x: left + wide + 5, y: y + 13 }, count(bar.count)))
  }
  return element('section', {}, element('h2', {}, 'Durations, at most'), chart, element('p', {}, data.percentiles))
}

const COLUMNS = [
  ['time', 'time', (row) => row.ms], ['who', 'name', (row) => row.who], ['request', '', (row) => row.id],
  ['duration', 'number', (row) => row.durationMs], ['end', 'end', (row) => row.end], ['arguments', 'argv', (row) => row.argv],
]
const PAGE_ROWS = 200

function commands() {
  const { rows, total } = data.commands
  const filter = element('input', { type: 'search', id: 'filter', placeholder: 'filter', 'aria-label': 'filter the commands' })
  const shown = element('p', { id: 'shown', role: 'status' })
  const body = element('tbody', {})
  const more = element('button', { class: 'more', type: 'button' }, 'more')
  let [sortBy, isDown, limit] = [0, true, PAGE_ROWS]
  const heads = COLUMNS.map(([name, style], i) => {
    const button = element('button', { type: 'button' }, name)
    button.addEventListener('click', () => {
      isDown = sortBy === i ? !isDown : false
      sortBy = i
      draw()
    })
    return element('th', { scope: 'col', class: style === 'number' ? style : '' }, button)
  })
  const texts = rows.map((row) => [row.time, row.who, row.id, row.end, row.note, row.argv].join(' ').toLowerCase())
  const rowOf = (row) => element('tr', {},
    element('td', { class: 'time' }, row.time), element('td', { class: 'name' }, row.who), element('td', {}, row.id),
    element('td', { class: 'number' }, row.duration), element('td', { class: 'end ' + row.kind }, row.end),
    element('td', { class: 'argv' }, row.argv + (row.note === '' ? '' : '  (' + row.note + ')')))
  function draw() {
    const words = filter.value.toLowerCase().split(/\\s+/).filter((word) => word !== '')
    const key = COLUMNS[sortBy][2]
    const found = rows.filter((_, i) => words.every((word) => texts[i].includes(word)))
    found.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (isDown ? -1 : 1))
    for (const [i, th] of heads.entries()) {
      if (i === sortBy) th.setAttribute('aria-sort', isDown ? 'descending' : 'ascending')
      else th.removeAttribute('aria-sort')
    }
    body.replaceChildren(...found.slice(0, limit).map(rowOf))
    more.hidden = found.length <= limit
    shown.textContent = count(Math.min(limit, found.length)) + ' of ' + count(found.length) + ' that match are shown'
  }
  filter.addEventListener('input', () => { limit = PAGE_ROWS; draw() })
  more.addEventListener('click', () => { limit += PAGE_ROWS; draw() })
  const title = rows.length < total ? 'The last ' + count(rows.length) + ' of ' + count(total) + ' commands' : 'Commands'
  main.append(element('h2', {}, title), filter, shown,
    element('div', { class: 'scroll' }, element('table', { id: 'commands' }, element('thead', {}, element('tr', {}, ...heads)), body)), more)
  draw()
}

head()
timeline()
main.append(element('div', { class: 'lists' }, durations(), ...data.lists.map(list)))
commands()
`
