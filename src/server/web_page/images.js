// images.js - images of an answer: which are shown, and how.
//
// Shown is what lies in the answer itself (a data: URL of a raster image), which is all that this
// server sends. Addresses are never fetched: the policy of the page forbids it, and so does this.
import { bytesText, el } from "./dom.js";

const SHOWN = /^data:image\/(png|jpeg|webp|gif|avif|bmp);base64,/;

function line(text) {
  return el("p", { class: "note" }, text);
}

// The URLs of delta.images, as OpenRouter has them.
export function imageUrls(images) {
  return (Array.isArray(images) ? images : []).map((image) => String(image?.image_url?.url ?? ""));
}

// The element of the i-th image of an answer.
export function imageElement(url, i) {
  const found = SHOWN.exec(url);
  if (!found) {
    return line(`Image ${i + 1} is of a kind that is not shown here.`);
  }
  const [start, kind] = found;
  const padding = url.endsWith("==") ? 2 : Number(url.endsWith("="));
  const bytes = (url.length - start.length) / 4 * 3 - padding;
  const what = `Image ${i + 1} of the answer (${kind.toUpperCase()}, ${bytesText(bytes)})`;
  const figure = el("figure", {},
    el("img", { src: url, alt: what, onerror: () => figure.replaceWith(line(`${what} cannot be read.`)) }),
    el("figcaption", {}, el("a", { href: url, download: `image-${i + 1}.${kind}` }, "Save this image")));
  return figure;
}
