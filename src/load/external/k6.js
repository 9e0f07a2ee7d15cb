// Written by shakedown: plays plan.json with k6. Credentials come from the environment.
import http from 'k6/http';
import exec from 'k6/execution';
import { sleep } from 'k6';

const plan = JSON.parse(open('./plan.json'));

export const options = {
  scenarios: plan.k6_scenarios,
  discardResponseBodies: true,
  // Cookies belong to a user, not to one of its flows.
  noCookiesReset: true,
  systemTags: ['status', 'name', 'scenario', 'error_code', 'expected_response'],
};

function draw(flows) {
  let left = Math.random() * flows.reduce((sum, flow) => sum + flow.weight, 0);
  for (const flow of flows) {
    left -= flow.weight;
    if (left < 0) return flow;
  }
  return flows[flows.length - 1];
}

export function play() {
  const scenario = plan.scenarios.find((s) => s.name === exec.scenario.name);
  const secrets = {};
  for (const [header, variable] of Object.entries(scenario.secrets)) secrets[header] = __ENV[variable];
  for (const step of draw(scenario.flows).steps) {
    if (step.pause) {
      sleep(step.pause);
      continue;
    }
    http.request(step.method, scenario.origin + step.path, step.body, {
      headers: Object.assign({}, scenario.headers, step.headers, secrets),
      tags: { name: step.name },
      timeout: step.timeout_seconds * 1000,
      redirects: 0,
    });
  }
  const think = scenario.think;
  if (think) sleep(think.min + Math.random() * (think.max - think.min));
}
