// For PM2: pm2 start /etc/orderctl/ecosystem.config.cjs
const orderctl = {
  script: '/opt/orderctl/bin/orderctl',
  // orderctl is not a Node.js program.
  interpreter: 'none',
  exec_mode: 'fork',
  // The first signal goes to the supervisor only: it drains. PM2 would send it to all child processes, too.
  treekill: false,
  autorestart: true,
  restart_delay: 2000,
  // A wrong option or setting does not become right by another start.
  stop_exit_codes: [2, 78],
  merge_logs: true,
  env: { ORDERCTL_STATE_DIR: '/var/lib/orderctl' },
};

module.exports = {
  apps: [
    {
      ...orderctl,
      name: 'orderctl-worker',
      args: ['worker', 'start', '--concurrency', '4'],
      // Longer than worker.drain_timeout_seconds (60) plus the ten seconds to release tasks.
      kill_timeout: 90000,
      error_file: '/var/log/orderctl/worker.log',
    },
    {
      ...orderctl,
      name: 'orderctl-relay',
      args: ['relay', 'start', '--port', '3001'],
      kill_timeout: 15000,
      error_file: '/var/log/orderctl/relay.log',
    },
  ],
};
