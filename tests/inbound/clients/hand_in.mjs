// Hands in one mail by nodemailer; the order is JSON on standard input.
import { readFileSync } from "node:fs";
import nodemailer from "nodemailer";

const { server, mail } = JSON.parse(readFileSync(0, "utf-8"));
const transport = nodemailer.createTransport(server);
const done = await transport.sendMail(mail);
process.stdout.write(done.response);
transport.close();
