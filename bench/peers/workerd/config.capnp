# workerd's configuration; @FOLDER@ and @PORT@ are filled in at the start.
# localDisk is workerd's storage on a real disk: it syncs each commit before the answer leaves.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "objects", disk = (path = "@FOLDER@/objects", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:@PORT@", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  modules = [
    (name = "worker", esModule = embed "worker.js"),
    (name = "schema", esModule = embed "schema.js"),
  ],
  compatibilityDate = "2026-06-01",
  durableObjectNamespaces = [(className = "UserDatabase", uniqueKey = "user-database", enableSql = true)],
  durableObjectStorage = (localDisk = "objects"),
  bindings = [(name = "USERS", durableObjectNamespace = "UserDatabase")],
);
