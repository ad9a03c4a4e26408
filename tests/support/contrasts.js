// The contrast of every visible text with what is painted behind it, least first.
const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
function colour(said) {  // red, green, blue, alpha
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = said;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
}
function behind(element) {
  if (element instanceof SVGElement) {
    const box = element.previousElementSibling;
    if (element.classList.contains("letter")) return colour(getComputedStyle(box).fill);
    return colour(getComputedStyle(element).stroke);  // the halo of a label
  }
  for (let e = element; e; e = e.parentElement) {
    const found = colour(getComputedStyle(e).backgroundColor);
    if (found[3] === 255) return found;
  }
  return colour("white");
}
function luminance(rgb) {
  const [r, g, b] = rgb.slice(0, 3).map((x) => x / 255)
    .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || element.closest("script, noscript, title")) continue;
  if (!element.checkVisibility()) continue;
  const style = getComputedStyle(element);
  const ink = luminance(colour(element instanceof SVGElement ? style.fill : style.color));
  const paper = luminance(behind(element));
  const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  found.push([ratio, walker.currentNode.data.trim().slice(0, 40), element.outerHTML.slice(0, 80)]);
}
return found.sort((a, b) => a[0] - b[0]);
