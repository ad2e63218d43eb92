/**
 * Colours of the page's marks: blue, orange and vermilion of Okabe and Ito, which colour-blind readers tell
 * apart, each at 3 to 1 or more against its background. Shapes and words say the same.
 */
export const PAGE_STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif;
  --ask: #0072b2; --deny: #a65e00; --fail: #c4390e; --line: #8886 }
@media (prefers-color-scheme: dark) { :root { --ask: #56b4e9; --deny: #e69f00; --fail: #ff8a5c } }
* { box-sizing: border-box }
body { max-width: 76rem; margin: 0 auto; padding: 1rem; background: Canvas; color: CanvasText }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1.05rem; margin: 1.6rem 0 0.4rem }
p { margin: 0.3rem 0 }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); gap: 0.6rem; margin: 1rem 0 }
.tile { border: 1px solid var(--line); border-radius: 0.4rem; padding: 0.5rem 0.7rem }
.tile b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums }
.verdict { display: inline-block; border: 2px solid; border-radius: 0.4rem; padding: 0.1rem 0.6rem; font-weight: 600 }
.good { color: var(--ask) } .broken { color: var(--fail) } .unsure, .unchecked { color: var(--deny) }
.lists { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 0 2rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: 0.87rem }
th, td { padding: 0.2rem 0.5rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
td.argv { font-family: ui-monospace, monospace; overflow-wrap: anywhere; min-width: 14rem }
td.name { overflow-wrap: anywhere; min-width: 7rem }
td.time, td.end { white-space: nowrap }
th button { all: unset; cursor: pointer; font-weight: 600 }
th button:focus-visible, input:focus-visible, button:focus-visible { outline: 2px solid var(--ask); outline-offset: 2px }
th[aria-sort=ascending] button::after { content: " \\25b2" } th[aria-sort=descending] button::after { content: " \\25bc" }
input { font: inherit; width: min(30rem, 100%); padding: 0.3rem 0.5rem }
.more { font: inherit; margin: 0.6rem 0; padding: 0.3rem 0.8rem }
svg { width: 100%; height: auto; display: block } svg text { fill: CanvasText; font-size: 11px }
.ask { fill: var(--ask) } .deny { fill: var(--deny) } .fail { fill: var(--fail) }
.key { display: inline-block; margin-right: 1.2rem } .key i { display: inline-block; width: 0.8rem; height: 0.8rem; margin-right: 0.35rem }
.key .ask { background: var(--ask) } .key .deny { background: var(--deny) } .key .fail { background: var(--fail) }
.bad { color: var(--fail) } .open { color: var(--deny) }
`
