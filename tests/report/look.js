// SPDX-License-Identifier: BSD-2-Clause
// What was laid out, as JSON at the end of the document: boxes are [left, top, right, bottom].
addEventListener("load", () => {
  const box = (element) => {
    const r = element.getBoundingClientRect();
    return [r.left, r.top, r.right, r.bottom];
  };
  const drawn = (svg) => [...svg.querySelectorAll("path, rect, polyline, polygon")]
      .filter((shape) => shape.getBBox().width > 0 || shape.getBBox().height > 0);
  const seen = {
    width: document.documentElement.clientWidth,
    scrollWidth: document.documentElement.scrollWidth,
    // What stands below each other: nothing may cover what follows.
    blocks: [...document.querySelectorAll("body > *:not(script):not(.plots), .plots > figure")]
        .map((element) => ({tag: element.tagName, box: box(element)})),
    plots: [...document.querySelectorAll("svg")].map((svg) => ({
      box: box(svg),
      shapes: drawn(svg).length,
      curves: [...svg.querySelectorAll("path")].filter((path) => path.getTotalLength() > 20).length,
      texts: [...svg.querySelectorAll("text")].filter((text) => text.textContent.trim())
          .map((text) => ({text: text.textContent.trim(), box: box(text)})),
    })),
    legends: [...document.querySelectorAll("figcaption li")].map(box),
    fetched: performance.getEntriesByType("resource").map((entry) => entry.name),
  };
  const out = document.createElement("script");
  out.type = "application/json";
  out.id = "seen";
  out.textContent = JSON.stringify(seen).replace(/</g, "\\u003c");
  document.body.append(out);
});
