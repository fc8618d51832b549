// Checks the kinds of Gateway API and Traefik against the models of @kubernetes-models, and that every kind is known to
// some linter or listed here.
//   node lint.mjs FILE…
import { readFileSync } from "node:fs";
import * as gateway from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1";
import * as gatewayBeta from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1beta1";
import * as traefik from "@kubernetes-models/traefik/traefik.io/v1alpha1";
import { parseAllDocuments } from "yaml";

const MODELS = {
    "gateway.networking.k8s.io/v1": gateway,
    "gateway.networking.k8s.io/v1beta1": gatewayBeta,
    "traefik.io/v1alpha1": traefik,
};
// kubernetes-validate has the kinds of Kubernetes itself. No package has Envoy Gateway's: read against its API reference.
const ELSEWHERE = /^(v1|apps\/v1|networking\.k8s\.io\/v1|gateway\.envoyproxy\.io\/v1alpha1)$/;

let failed = false;
for (const file of process.argv.slice(2)) {
    for (const document of parseAllDocuments(readFileSync(file, "utf8"), { uniqueKeys: true })) {
        const faults = document.errors.map((error) => error.message);
        const object = document.toJS() ?? {};
        const Model = MODELS[object.apiVersion]?.[object.kind];
        if (Model) {
            try {
                new Model(object).validate();
            } catch (error) {
                faults.push(error.message);
            }
        } else if (!ELSEWHERE.test(object.apiVersion)) {
            faults.push(`${object.apiVersion} ${object.kind}: unknown kind`);
        }
        for (const fault of faults) console.error(`${file}: ${object.kind} ${object.metadata?.name}: ${fault}`);
        failed ||= faults.length > 0;
        if (Model && !faults.length) console.log(`${file}: ${object.kind} ${object.metadata.name} is valid`);
    }
}
process.exit(failed ? 1 : 0);
