"""The style sheet of the report: light and dark, no fonts or files from elsewhere."""

CSS = """
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b2430;--soft:#5d6b7c;--line:#dfe4ea;
--good:#15803d;--bad:#b4233a;--warn:#a15c07;--move:#38bdf8;--close:#fb923c;--open:#34d399;--terminate:#e879f9;
--q:#7c3aed;--aperture:#0284c7;--height:#059669}
@media(prefers-color-scheme:dark){:root{--bg:#11161d;--card:#1a222c;--ink:#e6ebf2;--soft:#93a1b3;--line:#2c3846;
--good:#4ade80;--bad:#fb7185;--warn:#fbbf24;--q:#a78bfa;--aperture:#38bdf8;--height:#34d399}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);
font:15px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;margin:0;letter-spacing:-.01em}
h2{font-size:18px;margin:34px 0 10px}
p{margin:6px 0;color:var(--soft);max-width:80ch}
.note{border-left:4px solid var(--warn);background:var(--card);color:var(--ink);
padding:10px 14px;border-radius:0 8px 8px 0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:20px 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:12px 16px}
.card b{display:block;font-size:25px;line-height:1.25;font-weight:650;font-variant-numeric:tabular-nums}
.card span{display:block;color:var(--soft);font-size:13px}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:12px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:7px 14px;text-align:right;white-space:nowrap;border-top:1px solid var(--line)}
tr:first-child th{border-top:0;color:var(--soft);font-weight:600;font-size:13px}
th:first-child,td:first-child{text-align:left}
a{color:inherit;text-decoration-color:var(--soft)}
.episode{background:var(--card);border:1px solid var(--line);border-radius:12px;margin:14px 0;overflow:hidden}
.episode>summary{list-style:none;cursor:pointer;display:flex;flex-wrap:wrap;gap:4px 18px;
align-items:baseline;padding:12px 16px}
.episode>summary::-webkit-details-marker{display:none}
.episode>summary::before{content:"\\25B8";color:var(--soft)}
.episode[open]>summary::before{content:"\\25BE"}
.episode>summary b{font-size:16px}
.episode>summary span{color:var(--soft)}
.body{padding:0 16px 16px}
.badge{font-style:normal;font-weight:650;border-radius:99px;padding:0 11px;border:1.5px solid}
.success{color:var(--good)}.failure{color:var(--bad)}.aborted{color:var(--warn)}
.strip{display:grid;grid-template-columns:repeat(auto-fill,minmax(146px,1fr));gap:10px}
figure{margin:0;border:1px solid var(--line);border-radius:9px;overflow:hidden;background:var(--bg)}
figure svg,figure img{display:block;width:100%;height:auto}
figure img,svg image{image-rendering:pixelated}
body:has(#smooth:checked) :is(image,img){image-rendering:auto}
body:has(#plain:checked) :is(.now,.wish){display:none}
figcaption{display:flex;flex-wrap:wrap;gap:0 8px;padding:4px 9px;font-size:13px;
font-variant-numeric:tabular-nums}
figcaption em{font-style:normal;font-weight:600;color:var(--c)}
figcaption span{color:var(--soft)}
.step{border-bottom:3px solid var(--c)}
.move{--c:var(--move)}.close{--c:var(--close)}.open{--c:var(--open)}.terminate{--c:var(--terminate)}
.step line{vector-effect:non-scaling-stroke;stroke-linecap:round;stroke-width:2px}
.now line{stroke:#fff;opacity:.85}.now circle{fill:#fff;stroke:#0008;stroke-width:.3}
.wish line{stroke:var(--c);stroke-width:3px}.wish circle{fill:var(--c);stroke:#0008;stroke-width:.3}
.wish .way{stroke-dasharray:2 5}
.wide{overflow-x:auto;margin:12px 0 0}
.chart{display:block;width:100%;min-width:620px;height:auto}
.chart .plot{fill:none;stroke:var(--line)}
.chart .mark{stroke:var(--line)}
.chart text{fill:var(--soft);font-size:12px}
.chart .title{fill:var(--ink)}
.chart polyline{fill:none;stroke-width:1.8;stroke-linejoin:round}
.chart polyline.q{stroke:var(--q)}.chart circle.q{fill:var(--q)}
.chart polyline.aperture{stroke:var(--aperture)}.chart polyline.height{stroke:var(--height)}
.inner{margin-top:12px;color:var(--soft);font-size:13.5px}
.inner summary{cursor:pointer}
.inner .strip{margin-top:8px}
.inner dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:8px 0;
overflow-wrap:anywhere}
.inner dt{color:var(--soft)}.inner dd{margin:0;color:var(--ink)}
.toggles label{margin-right:18px;color:var(--soft);cursor:pointer}
"""
