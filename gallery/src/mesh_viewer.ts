/** A GLB file on a canvas that rotates automatically, by pointer and by keyboard. */

import {
  Box3,
  Group,
  LinearFilter,
  LinearMipmapLinearFilter,
  NeutralToneMapping,
  type Object3D,
  PerspectiveCamera,
  PMREMGenerator,
  Scene,
  Sphere,
  Texture,
  WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { RoomEnvironment } from "three/addons/environments/RoomEnvironment.js";
import { type GLTF, GLTFLoader, type GLTFParser } from "three/addons/loaders/GLTFLoader.js";
import { button, h } from "./dom";

interface Viewed {
  name: string;
  stop: AbortSignal;
}

const KEY_TURN = Math.PI / 12;
const KEY_ZOOM = 0.85;
const HELP = "Arrow keys turn it, plus and minus zoom, 0 resets.";

/** Create a viewer for a file's bytes. `stop` ends it and frees its memory; after that, this throws. */
export async function meshViewer(bytes: ArrayBuffer, { name, stop }: Viewed): Promise<HTMLElement> {
  const { scene: model } = await parsed(bytes);
  stop.throwIfAborted();
  const canvas = h("canvas", { tabindex: 0, role: "img", "aria-label": `${name}, turning. ${HELP}` });
  const renderer = new WebGLRenderer({ canvas, antialias: true, alpha: true });
  renderer.toneMapping = NeutralToneMapping;
  renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
  const scene = litScene(renderer);
  const turned = centred(model);
  scene.add(turned);
  const camera = new PerspectiveCamera(35, 1, 0.01, 100);
  const controls = new OrbitControls(camera, canvas);
  controls.enablePan = false;
  controls.minDistance = 1.5;
  controls.maxDistance = 12;
  controls.autoRotateSpeed = 2.5;
  controls.autoRotate = !matchMedia("(prefers-reduced-motion: reduce)").matches;

  let isInSight = false;
  let frame = 0;

  function reset(): void {
    turned.rotation.set(0, 0, 0);
    camera.position.set(1.9, 1.1, 2.8);
    controls.target.set(0, 0, 0);
    controls.update();
  }

  function turning(on: boolean): void {
    controls.autoRotate = on;
    toggle.setAttribute("aria-pressed", String(on));
    drawSoon();
  }

  const toggle = button("", { icon: "again", class: "tool", label: "Turn by itself", onclick: () => turning(!controls.autoRotate) });
  controls.addEventListener("start", () => turning(false));
  controls.addEventListener("change", drawSoon);
  canvas.addEventListener("webglcontextrestored", drawSoon);
  canvas.addEventListener("keydown", (event) => {
    const moves: Record<string, () => void> = {
      ArrowLeft: () => turned.rotateY(-KEY_TURN),
      ArrowRight: () => turned.rotateY(KEY_TURN),
      ArrowUp: () => turned.rotateX(-KEY_TURN),
      ArrowDown: () => turned.rotateX(KEY_TURN),
      "+": () => camera.position.multiplyScalar(KEY_ZOOM),
      "=": () => camera.position.multiplyScalar(KEY_ZOOM),
      "-": () => camera.position.divideScalar(KEY_ZOOM),
      "0": reset,
    };
    const move = Object.hasOwn(moves, event.key) ? moves[event.key] : undefined;
    if (!move) return;
    event.preventDefault();
    turning(false);
    move();
    drawSoon();
    canvas.dataset.turned = turned.rotation.y.toFixed(2);
  });

  const element = h("div", { class: "viewer" }, canvas, toggle);
  const size = new ResizeObserver(() => {
    const { clientWidth: width, clientHeight: height } = element;
    if (!width || !height) return;
    renderer.setSize(width, height, false);
    camera.aspect = width / height;
    camera.updateProjectionMatrix();
    drawSoon();
  });
  // A busy browser hands over several changes at the same time, the newest last.
  const sight = new IntersectionObserver((changes) => {
    isInSight = changes.at(-1)?.isIntersecting ?? false;
    drawSoon();
  });

  /** Draw in the next frame. A model that doesn't move costs nothing. */
  function drawSoon(): void {
    if (isInSight && !frame) frame = requestAnimationFrame(draw);
  }

  function draw(): void {
    controls.update();
    frame = 0;
    renderer.render(scene, camera);
    canvas.dataset.drawn = "true";
    if (controls.autoRotate) drawSoon();
  }

  stop.addEventListener("abort", () => {
    size.disconnect();
    sight.disconnect();
    isInSight = false;
    cancelAnimationFrame(frame);
    controls.dispose();
    scene.environment?.dispose();
    renderer.dispose();
    renderer.forceContextLoss();
  });
  turning(controls.autoRotate);
  reset();
  size.observe(element);
  sight.observe(canvas);
  return element;
}

function litScene(renderer: WebGLRenderer): Scene {
  const scene = new Scene();
  const light = new PMREMGenerator(renderer);
  scene.environment = light.fromScene(new RoomEnvironment()).texture;
  light.dispose();
  return scene;
}

/** Center the model and scale it to two units. */
function centred(model: Object3D): Group {
  const sphere = new Box3().setFromObject(model).getBoundingSphere(new Sphere());
  const scale = 1 / (sphere.radius || 1);
  model.position.sub(sphere.center).multiplyScalar(scale);
  model.scale.multiplyScalar(scale);
  const group = new Group();
  group.add(model);
  return group;
}

function parsed(bytes: ArrayBuffer): Promise<GLTF> {
  const loader = new GLTFLoader();
  loader.register((parser) => {
    const images = new Map<number, Promise<Texture>>();
    parser.loadImageSource = (index: number) => {
      const image = images.get(index) ?? embedded(parser, index);
      images.set(index, image);
      return image.then((texture) => texture.clone());
    };
    return { name: "embedded-pictures" };
  });
  return loader.parseAsync(bytes, "");
}

interface ImageSource {
  bufferView?: number;
  mimeType?: string;
}

/** Read a picture inside the file without a request, which a content security policy would block. */
async function embedded(parser: GLTFParser, index: number): Promise<Texture> {
  const source = (parser.json as { images?: ImageSource[] }).images?.[index];
  if (source?.bufferView === undefined) throw new Error("The file names a picture outside of it.");
  const bytes = (await parser.getDependency("bufferView", source.bufferView)) as ArrayBuffer;
  const bitmap = await createImageBitmap(new Blob([bytes], { type: source.mimeType }));
  const texture = new Texture(bitmap);
  texture.magFilter = LinearFilter;
  texture.minFilter = LinearMipmapLinearFilter;
  texture.needsUpdate = true;
  return texture;
}
