const LIGHT = `
  color-scheme: light;
  --ground: #f7f5f0; --card: #fffefb; --ink: #1f2328; --soft: #666b72; --line: #e3dfd5; --accent: #2f5fb3;
  --good: #22764a; --bad: #b3372f; --heat: #f0a33b;
  --series-1: #2f5fb3; --series-2: #d9722b; --series-3: #2a8c6a; --series-4: #9a4fb0;
  --series-5: #b58a00; --series-6: #c33d5c; --series-7: #3a93ad; --series-8: #7a6a58;`;

const DARK = `
  color-scheme: dark;
  --ground: #14161a; --card: #1c1f25; --ink: #e8e6e1; --soft: #9aa0a8; --line: #2e323a; --accent: #86aef5;
  --good: #62c794; --bad: #f0857c; --heat: #b9701a;
  --series-1: #86aef5; --series-2: #f2a065; --series-3: #5cc7a0; --series-4: #cf8fe0;
  --series-5: #e3c04e; --series-6: #f0829c; --series-7: #6fc9e0; --series-8: #b8a792;`;

/** The style of the page: one measure, two themes, no fonts or files from elsewhere. */
export const PAGE_STYLE = `
:root {${LIGHT}
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, "Book Antiqua", Georgia, ui-serif, serif;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "DejaVu Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) { :root:not([data-theme=light]) {${DARK} } }
:root[data-theme=dark] {${DARK} }
* { box-sizing: border-box }
html { scroll-behavior: smooth; scroll-padding-top: 4rem }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.55 var(--sans); -webkit-text-size-adjust: 100% }
main, .bar-inner { max-width: 72rem; margin: 0 auto; padding: 0 1.5rem }
a { color: inherit }
.topbar { position: sticky; top: 0; z-index: 2; background: color-mix(in srgb, var(--ground) 86%, transparent); backdrop-filter: blur(8px); border-bottom: 1px solid var(--line) }
.bar-inner { display: flex; gap: 1.25rem; align-items: center; height: 3rem; font-size: .875rem; overflow-x: auto }
.bar-inner a { text-decoration: none; color: var(--soft); white-space: nowrap }
.bar-inner a:hover { color: var(--ink) }
.bar-inner button { margin-left: auto; font: inherit; color: var(--soft); background: none; border: 1px solid var(--line); border-radius: 99px; padding: .15rem .8rem; cursor: pointer }
.page-head { padding: 4rem 0 1rem }
h1, h2 { font-family: var(--serif); font-weight: 600; letter-spacing: -.012em; line-height: 1.15; text-wrap: balance }
h1 { font-size: clamp(2.2rem, 5vw, 3.4rem); margin: .3rem 0 .4rem }
h2 { font-size: 1.75rem; margin: 0 0 .4rem }
h3 { font-size: 1.02rem; margin: 2rem 0 .6rem }
h4 { font-size: .75rem; font-weight: 500; color: var(--soft); margin: 0 0 .4rem; letter-spacing: .04em }
section { padding: 3rem 0 0 }
.kicker { color: var(--soft); margin: 0; display: flex; align-items: center; gap: .7rem }
.facts, .note, .missing, small { color: var(--soft) }
.facts { margin: 0 }
.lede { font: 1.22rem/1.5 var(--serif); max-width: 46rem; margin: 1.4rem 0 1.8rem; text-wrap: pretty }
.note { max-width: 46rem; margin: 0 0 1.2rem; font-size: .94rem }
.missing { font-style: italic; font-size: .94rem }
.pill { font-size: .8rem; border-radius: 99px; padding: .1rem .7rem; border: 1px solid currentColor }
.pill.done { color: var(--good) } .pill.running { color: var(--series-2) }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 14px }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem }
.figure { padding: 1rem 1.2rem; display: flex; flex-direction: column; gap: .15rem }
.figure span, .figure small { font-size: .84rem; color: var(--soft); line-height: 1.4 }
.figure strong { font: 600 2rem/1.2 var(--serif); font-variant-numeric: lining-nums tabular-nums }
.chips { display: flex; flex-wrap: wrap; gap: .4rem 1rem; margin: 1.4rem 0 0 }
.chip { display: inline-flex; align-items: center; gap: .4rem; font-size: .86rem; font-weight: 400; width: max-content; max-width: min(20rem, 70vw); overflow-wrap: anywhere }
.chip i { flex: none; width: .85em; height: .85em; border-radius: 3px; box-shadow: inset 0 0 0 1px rgb(128 128 128 / .45) }
.chip i.ignore { background: repeating-linear-gradient(135deg, #e2e2dc 0 3px, #969692 3px 6px) }
.split { display: grid; grid-template-columns: minmax(0, 1.15fr) minmax(0, 1fr); gap: 1.5rem 2rem; align-items: center }
.chart { margin: 0; padding: 1rem 1.1rem .6rem; background: var(--card); border: 1px solid var(--line); border-radius: 14px }
.chart svg { display: block; width: 100%; height: auto }
.chart figcaption { font-size: .86rem; font-weight: 500; margin-bottom: .2rem }
.plot { font-family: var(--sans); font-size: 11px; fill: currentColor; color: var(--soft) }
.plot text { white-space: pre }
.small-charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); gap: 1rem }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.2rem; margin: 0 0 .7rem; padding: 0; font-size: .84rem }
.legend li { display: flex; align-items: center; gap: .45rem }
.legend b { font-variant-numeric: tabular-nums }
.line { width: 1.1rem; border-top: 3px solid; border-radius: 2px } .line.dashed { border-top-style: dashed }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: lining-nums tabular-nums }
th, td { padding: .45rem .7rem; text-align: right; border-bottom: 1px solid var(--line); font-weight: 400 }
thead th { color: var(--soft); font-size: .8rem; line-height: 1.3; vertical-align: bottom }
tbody th { color: var(--ink) }
.text { text-align: left } th small { display: block; font-size: .8rem; max-width: 30rem }
th.group { text-align: center; border-bottom-color: transparent; padding-bottom: 0 }
tbody tr:last-child > * { border-bottom: 0 }
.heat td { background: color-mix(in srgb, var(--heat) calc(var(--share) * .75), var(--card)) padding-box; border: 2px solid var(--ground); border-radius: 6px; text-align: center; min-width: 4.2rem }
.heat th { text-align: center } .heat th.text { text-align: left; border-bottom-color: transparent }
.interval { width: 16rem; height: 1.6rem; display: block }
.interval line { stroke: currentColor; stroke-width: 2 } .interval .zero { stroke: var(--line) }
.interval circle { fill: currentColor }
.comparisons .verdict { border-radius: 99px; padding: .1rem .6rem; border: 1px solid currentColor; font-size: .8rem; white-space: nowrap }
.better .interval, .better .verdict { color: var(--good) } .worse .interval, .worse .verdict { color: var(--bad) }
.within-noise .interval, .within-noise .verdict { color: var(--soft) }
.times { display: grid; grid-template-columns: max-content 1fr max-content; gap: .3rem 1rem; align-items: center; font-size: .9rem; font-variant-numeric: tabular-nums }
.bar { height: .55rem; background: var(--line); border-radius: 99px } .bar i { display: block; height: 100%; min-width: 2px; border-radius: 99px; background: var(--accent) }
.strip { padding: 1.1rem 1.2rem 1.2rem; margin-bottom: 1.2rem }
.strip h3 { margin: 0 0 .9rem; display: flex; flex-wrap: wrap; gap: .3rem 1rem; align-items: center; font-variant-numeric: tabular-nums }
.groups { display: flex; flex-wrap: wrap; gap: 1rem 1.6rem }
.row { display: flex; flex-wrap: wrap; gap: .6rem }
.picture { margin: 0; width: 10.3rem }
.picture img { display: block; width: 100%; height: auto; border-radius: 8px; cursor: zoom-in; background: var(--line) }
.picture img:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.picture figcaption { font-size: .78rem; line-height: 1.35; color: var(--soft); margin-top: .3rem }
.facts-list { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .8rem 1.5rem; margin: .8rem 0 1.4rem }
.facts-list dt { font-size: .8rem; color: var(--soft) } .facts-list dd { margin: 0; overflow-wrap: anywhere }
details { border: 1px solid var(--line); border-radius: 14px; background: var(--card) }
summary { cursor: pointer; padding: .8rem 1.2rem }
pre { font: .82rem/1.5 var(--mono); margin: 0; padding: .2rem 1.2rem 1.2rem; overflow-x: auto }
footer { color: var(--soft); font-size: .86rem; padding: 3rem 0 4rem }
dialog { border: 0; padding: 0; background: none; max-width: 96vw; max-height: 96vh; color: #fff; text-align: center }
dialog:focus { outline: 0 }
dialog::backdrop { background: rgb(10 11 13 / .94) }
dialog img { display: block; width: min(88vw, 82vh); height: auto; max-height: 84vh; object-fit: contain; image-rendering: auto; border-radius: 8px; cursor: zoom-out }
dialog p { margin: .7rem 0 0; font-size: .95rem } dialog kbd { font: inherit; opacity: .7 }
@media (max-width: 52rem) { .split { grid-template-columns: minmax(0, 1fr) } .page-head { padding-top: 2.5rem } .picture { width: 8rem } }
@media print { .topbar, dialog { display: none } .card, .chart { break-inside: avoid } }
`;
