// Terminal colours in log lines: what programs print, as spans. Other control sequences are left out.
const SEQUENCE = /\u001b\[([0-9;]*)m|\u001b\[[0-9;?]*[A-Za-z]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[\u0000-\u0008\u000b-\u001a\u001c-\u001f]/g;
const STYLES = { 1: "ansi-bold", 2: "ansi-dim", 3: "ansi-italic", 4: "ansi-underline" };

function apply(style, codes) {
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at];
    if (code === 0) Object.assign(style, { colour: "", marks: new Set() });
    else if (code === 22) for (const mark of ["ansi-bold", "ansi-dim"]) style.marks.delete(mark);
    else if (STYLES[code]) style.marks.add(STYLES[code]);
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) style.colour = `ansi-${code % 10}`;
    else if (code === 39) style.colour = "";
    else if (code === 38 || code === 48) at += codes[at + 1] === 5 ? 2 : 4; // 256 and true colours: kept plain
  }
}

/** Splits a line into runs of text with the classes of each. */
export function runs(text) {
  const out = [];
  const style = { colour: "", marks: new Set() };
  let from = 0;
  const push = (end) => {
    if (end > from) out.push({ text: text.slice(from, end), classes: [style.colour, ...style.marks].filter(Boolean).join(" ") });
  };
  for (const match of text.matchAll(SEQUENCE)) {
    push(match.index);
    from = match.index + match[0].length;
    if (match[1] !== undefined) apply(style, match[1].split(";").map(Number));
  }
  push(text.length);
  return out;
}

/** The line as a person would read it: without sequences, and with what a carriage return left standing. */
export function plain(text) {
  return overwritten(text).replace(SEQUENCE, "");
}

export function overwritten(text) {
  const trimmed = text.replace(/\r+$/, "");
  return trimmed.slice(trimmed.lastIndexOf("\r") + 1);
}
