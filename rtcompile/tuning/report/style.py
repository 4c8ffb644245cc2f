"""The style sheet of the report, for light and dark screens and for paper."""

from __future__ import annotations

__all__ = ["STYLE"]

# Colours that people with any kind of colour vision tell apart, each with a shape of its own.
STYLE = """
:root { color-scheme: light dark; --ground: #fff; --panel: #f6f7f9; --ink: #1c2430;
  --quiet: #5c6675; --rule: #d9dde3; --best: #0b63b8; --trial: #9db4cc; --before: #a8b0bb;
  --failed: #c2410c; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181e; --panel: #1d232b;
  --ink: #e4e8ee; --quiet: #9aa5b4; --rule: #343c47; --best: #5aa9f2; --trial: #4a6584;
  --before: #6b7683; --failed: #f0803c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 32px 28px 64px; background: var(--ground);
  color: var(--ink); font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; }
h1 { font-size: 26px; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 40px 0 12px; }
h3 { font-size: 12.5px; font-weight: 600; margin: 0 0 6px; overflow-wrap: anywhere; }
p { margin: 6px 0; max-width: 80ch; } .quiet, .none { color: var(--quiet); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px;
  margin-top: 22px; }
.figure { background: var(--panel); border-radius: 8px; padding: 14px 16px; }
.figure b { display: block; font-size: 25px; font-weight: 650; line-height: 1.25; }
.figure span { color: var(--quiet); font-size: 13px; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 14px; }
.chart { background: var(--panel); border-radius: 8px; padding: 12px 14px; break-inside: avoid; }
svg { display: block; width: 100%; height: auto; }
text { font-size: 11px; fill: var(--quiet); } text.value, text.label { font-size: 12.5px;
  fill: var(--ink); } text.end { text-anchor: end; } text.middle { text-anchor: middle; }
.grid { stroke: var(--rule); stroke-width: 1; }
.default { stroke: var(--quiet); stroke-width: 1.3; stroke-dasharray: 5 4; }
.best { stroke: var(--best); stroke-width: 2; fill: none; stroke-linejoin: round; }
.trial { fill: var(--trial); } .earlier { fill: none; stroke: var(--trial); }
.failed { fill: none; stroke: var(--failed); stroke-width: 1.6; }
.mark { fill: var(--best); } .before { fill: var(--before); } .after { fill: var(--best); }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: left; padding: 6px 10px 6px 0; border-bottom: 1px solid var(--rule);
  vertical-align: top; } th { color: var(--quiet); font-weight: 500; }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td code { font-size: 12px; overflow-wrap: anywhere; }
.key { display: flex; gap: 18px; flex-wrap: wrap; font-size: 12.5px; color: var(--quiet);
  margin: 0 0 10px; align-items: center; } .key svg { width: 26px; display: inline-block;
  vertical-align: -2px; margin-right: 5px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 0;
  font-size: 13.5px; } dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
.warning { border-left: 4px solid var(--failed); padding-left: 12px; }
.wide { overflow-x: auto; }
@media print { body { padding: 0; } }
"""
