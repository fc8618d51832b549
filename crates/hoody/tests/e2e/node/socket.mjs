// Listens with the real socket.io-client and prints what happens, a line of JSON each.
// BASE, AUTH (JSON), HOST and TRANSPORTS (a JSON list, or empty for the default) come from the environment.
import { io } from "socket.io-client";

const { BASE, AUTH, HOST, TRANSPORTS, SLASH } = process.env;
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const socket = io(BASE, {
  path: "/api/v1/events",
  addTrailingSlash: SLASH !== "no",
  auth: AUTH ? JSON.parse(AUTH) : undefined,
  transports: TRANSPORTS ? JSON.parse(TRANSPORTS) : ["polling", "websocket"],
  extraHeaders: HOST ? { Host: HOST } : undefined,
  reconnectionDelay: 100,
  reconnectionDelayMax: 200,
});
socket.on("connect", () => {
  say({ connect: socket.io.engine.transport.name });
  socket.io.engine.once("upgrade", (transport) => say({ upgrade: transport.name }));
});
socket.on("connect_error", (error) => say({ refused: error.message, active: socket.active }));
socket.on("disconnect", (reason) => say({ disconnect: reason }));
socket.on("message", (message) => say({ message }));
process.stdin.on("end", () => process.exit(0)).resume();
