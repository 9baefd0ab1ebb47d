// Says of the page what a reader would trip over: text outside of its box or over other text, boxes over boxes, colours that
// cannot be told from their ground, a page that has to be scrolled sideways, anything fetched from elsewhere.
const faults = [], colours = {};
const inside = (a, b) => a.left >= b.left - 0.5 && a.right <= b.right + 0.5 && a.top >= b.top - 0.5 && a.bottom <= b.bottom + 0.5;
const apart = (a, b) => a.right <= b.left + 0.5 || b.right <= a.left + 0.5 || a.bottom <= b.top + 0.5 || b.bottom <= a.top + 0.5;
const rgb = s => s.match(/[\d.]+/g).slice(0, 3).map(Number);
const light = s => rgb(s).map(c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
// The ink of a line of text: its box less the leading above and below the letters.
const ink = e => { const r = e.getBoundingClientRect(), h = r.height; return { left: r.left, right: r.right, top: r.top + h * 0.2, bottom: r.bottom - h * 0.15 }; };

const shown = e => e.getClientRects().length > 0; // of the two pictures one
const tiles = [...document.querySelectorAll("g.tile")].filter(shown);
for (const tile of tiles) {
  const name = tile.querySelector(".name").textContent, box = tile.querySelector("rect.box");
  const ground = getComputedStyle(box).fill, bounds = box.getBoundingClientRect();
  colours[tile.getAttribute("class").split(" ")[1]] = ground;
  const texts = [...tile.querySelectorAll("text")];
  for (const text of texts) {
    if (!inside(ink(text), bounds)) faults.push(`${name}: ${text.textContent} is outside of its box`);
    for (const part of [text, ...text.querySelectorAll("tspan")])
      if (contrast(getComputedStyle(part).fill, ground) < 4.5) faults.push(`${name}: ${part.textContent} can hardly be read on ${ground}`);
  }
  const shapes = [...texts.map(ink), ...[...tile.querySelectorAll("rect.bar")].map(e => e.getBoundingClientRect())];
  shapes.forEach((a, i) => shapes.slice(i + 1).forEach(b => { if (!apart(a, b)) faults.push(`${name}: one line lies over another`); }));
}
const boxes = tiles.map(t => t.querySelector("rect.box").getBoundingClientRect());
boxes.forEach((a, i) => boxes.slice(i + 1).forEach(b => { if (!apart(a, b)) faults.push("one box lies over another"); }));
const page = getComputedStyle(document.body);
for (const e of document.querySelectorAll("h1, .headline, dt, dd, td, th, .legend, .legend b"))
  if (contrast(getComputedStyle(e).color, page.backgroundColor) < 4.5) faults.push(`${e.textContent} can hardly be read`);
if (document.documentElement.scrollWidth > innerWidth) faults.push(`the page is ${document.documentElement.scrollWidth} wide, the window ${innerWidth}`);
for (const entry of performance.getEntriesByType("resource")) faults.push(`fetched ${entry.name}`);
const pixels = tiles.map(t => parseFloat(getComputedStyle(t.querySelector(".name")).fontSize) * t.getScreenCTM().a);
if (Math.min(...pixels) < 9) faults.push(`names are drawn ${Math.min(...pixels)} pixels high`);
const bars = [...document.querySelectorAll("rect.bar")].filter(shown).length;
const out = document.createElement("pre");
out.id = "looks";
out.textContent = JSON.stringify({ Tiles: tiles.length, Bars: bars, Faults: [...new Set(faults)].slice(0, 20), Colours: colours });
document.body.append(out);
