// A square to draw a digit on, white on black. After every stroke its picture goes to Python.
function render({ model, el }) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 280;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "A pad: draw a digit by mouse or by touch.");
  canvas.style.cssText = "display: block; cursor: crosshair; touch-action: none";

  const pen = canvas.getContext("2d");
  pen.lineWidth = 22; // as thick as the strokes of MNIST: 2 of 28 pixels
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = "white";

  const clear = () => pen.fillRect(0, 0, canvas.width, canvas.height); // in black
  const send = async (blob) => {
    model.set("value", new DataView(blob ? await blob.arrayBuffer() : new ArrayBuffer(0)));
    model.save_changes();
  };

  let drawing = false;
  const draw = (event) => {
    if (!drawing) return;
    pen.lineTo(event.offsetX, event.offsetY);
    pen.stroke();
  };
  canvas.addEventListener("pointerdown", (event) => {
    drawing = true;
    canvas.setPointerCapture(event.pointerId); // the stroke goes on outside the square
    pen.beginPath();
    pen.moveTo(event.offsetX - 0.1, event.offsetY); // browsers leave out a line without length
    draw(event); // a dot
  });
  canvas.addEventListener("pointermove", draw);
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => {
      drawing = false;
      canvas.toBlob(send);
    });
  }

  const button = document.createElement("button");
  button.textContent = "clear";
  button.className = "jupyter-button widget-button"; // looks like the widgets beside it
  button.addEventListener("click", () => {
    clear();
    send(null);
  });

  // Whoever cannot draw uploads a picture. It is shown on the pad, as large as it fits.
  const upload = document.createElement("input");
  upload.type = "file";
  upload.accept = "image/*";
  upload.addEventListener("change", async () => {
    const [file] = upload.files;
    if (!file) return;
    send(file);
    clear();
    const picture = await createImageBitmap(file).catch(() => null); // Python says what is wrong
    if (!picture) return;
    const scale = canvas.width / Math.max(picture.width, picture.height);
    pen.drawImage(picture, 0, 0, scale * picture.width, scale * picture.height);
  });
  const label = document.createElement("label");
  label.style.display = "block";
  label.append("or upload a picture: ", upload);

  clear();
  el.append(canvas, button, label);
}

export default { render };
