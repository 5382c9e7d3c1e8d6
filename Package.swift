// swift-tools-version: 6.2
import PackageDescription

/// dev/run-fuzzers sets it: everything is watched by sanitizers, and hotrack-fuzz is a libFuzzer. It is
/// not in flags of the command line, since these would reach bpf-embed, which has to run.
let isFuzzing = Context.environment["HOTRACK_FUZZING"] != nil
let sanitizers = ["-sanitize=fuzzer,address"]

let plainSettings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .treatAllWarnings(as: .error),
]
let swiftSettings = plainSettings + (isFuzzing ? [.unsafeFlags(sanitizers)] : [])
let cSettings: [CSetting] = [
  .enableWarning("all"), .enableWarning("extra"), .treatAllWarnings(as: .error),
]

/// A module of Swift; `uses` may only name modules above it in this list (docs/architecture.md).
func module(
  _ name: String, uses: [Target.Dependency] = [], plugins: [Target.PluginUsage] = []
) -> Target {
  .target(name: name, dependencies: uses, swiftSettings: swiftSettings, plugins: plugins)
}

func tests(_ module: String, uses: [Target.Dependency] = [], exclude: [String] = []) -> Target {
  .testTarget(
    name: "\(module)Tests", dependencies: [.byName(name: module)] + uses, exclude: exclude,
    swiftSettings: swiftSettings)
}

let log = Target.Dependency.product(name: "Logging", package: "swift-log")
let toml = Target.Dependency.product(name: "TOMLKit", package: "TOMLKit")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let nio = [
  Target.Dependency.product(name: "NIOCore", package: "swift-nio"),
  Target.Dependency.product(name: "NIOPosix", package: "swift-nio"),
  Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl"),
]
let histogram = Target.Dependency.product(name: "Histogram", package: "hdrhistogram-swift")

let package = Package(
  name: "hotrack",
  products: [
    .executable(name: "hotrack", targets: ["hotrack"]),
    .library(name: "HotrackClient", targets: ["HotrackClient"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    .package(url: "https://github.com/LebJe/TOMLKit", exact: "0.6.0"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", exact: "0.2.0"),
    .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
  ],
  targets: [
    // System libraries and C.
    .target(name: "CHotrack", cSettings: cSettings),
    .target(name: "CSockets", cSettings: cSettings),
    .target(name: "CWebPage", cSettings: cSettings),
    .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
    .systemLibrary(
      name: "CRocksDB", pkgConfig: "rocksdb", providers: [.apt(["librocksdb-dev"])]),
    .systemLibrary(name: "CPcap", pkgConfig: "libpcap", providers: [.apt(["libpcap-dev"])]),
    .systemLibrary(name: "CBPF", pkgConfig: "libbpf", providers: [.apt(["libbpf-dev"])]),

    // Protocol: pure, no input or output.
    module("TextTables"),
    module("Wire", uses: ["CHotrack", "CXXHash"]),
    module("Directory", uses: ["CHotrack", "Wire"]),
    module("KeyTemperature"),
    module("Storage", uses: ["Wire"]),
    module("ServerCore", uses: ["Wire", "Storage"]),
    module("ControllerCore", uses: ["Wire", "Directory", "KeyTemperature"]),
    module("ClientCore", uses: ["Wire"]),
    module("Observe", uses: ["ControllerCore", "KeyTemperature", "TextTables", "Wire"]),
    module("BinaryCoding"),
    module("StoreState", uses: ["BinaryCoding"]),
    module("Paxos", uses: ["BinaryCoding", "StoreState"]),
    module("StoreProtocol", uses: ["BinaryCoding", "CXXHash", "Paxos", "StoreState"]),
    module("Workload"),
    module("Linearizability"),
    module(
      "Simulation",
      uses: [
        "ServerCore", "ControllerCore", "ClientCore", "Directory", "Wire", "Workload",
        "Linearizability", "Paxos", "StoreState",
      ]),

    // Shells: the cores on sockets, clocks and maps.
    module("SegmentLog", uses: ["CXXHash"]),
    module("Sockets", uses: ["CSockets"]),
    module("HostNetwork", uses: ["CSockets"]),
    module("Capture", uses: ["CPcap"]),
    module(
      "DataPlane", uses: ["CBPF", "CHotrack", "Directory", "HostNetwork", "Sockets", "Wire"],
      plugins: ["CompileBPF"]),
    module("RocksDB", uses: ["CRocksDB"]),
    module("DurableStore", uses: ["RocksDB", "Storage", "Wire"]),
    module("HotrackClient", uses: ["ClientCore", "Sockets", "Wire"]),
    module(
      "Server",
      uses: ["DurableStore", "RocksDB", "ServerCore", "Sockets", "Storage", "Wire", log]),
    module(
      "Controller",
      uses: [
        "ControllerCore", "DataPlane", "Directory", "HostNetwork", "Sockets", "TextTables", "Wire",
        log,
      ]),
    module(
      "StoreFrames", uses: [.product(name: "NIOCore", package: "swift-nio")]),
    module(
      "StoreNode",
      uses: [
        "BinaryCoding", "Paxos", "RocksDB", "SegmentLog", "Sockets", "StoreFrames", "StoreProtocol",
        "StoreState", log,
      ] + nio),
    module(
      "StoreClient",
      uses: ["BinaryCoding", "Paxos", "Sockets", "StoreFrames", "StoreProtocol", "StoreState"] + nio
    ),
    module("Telemetry", uses: ["CWebPage", "Controller", "ControllerCore", "Sockets", "Wire"]),
    module("TopView", uses: ["Controller", "ControllerCore", "TextTables", "Wire"]),
    module("LoadGenerator", uses: ["Workload", "ClientCore", "Wire", "Sockets", histogram]),
    module("Configuration", uses: ["Sockets", toml]),
    module(
      "Doctor",
      uses: ["CSockets", "Configuration", "Controller", "DataPlane", "HostNetwork", "Sockets"]),
    module(
      "Testbed",
      uses: [
        "CBPF", "CHotrack", "Configuration", "Controller", "ControllerCore", "DataPlane",
        "Linearizability", "LoadGenerator", "Sockets", "Wire", "Workload",
      ], plugins: ["CompileBPF"]),
    module(
      "Demo",
      uses: [
        "Configuration", "Controller", "LoadGenerator", "Sockets", "Testbed", "Wire", "Workload",
      ]),
    module(
      "Bench",
      uses: [
        "CBPF", "CHotrack", "Capture", "ClientCore", "Configuration", "Controller",
        "ControllerCore",
        "DataPlane", "Directory", "HotrackClient", "Linearizability", "LoadGenerator", "Observe",
        "ServerCore", "Sockets", "Testbed", "Wire", "Workload",
      ], plugins: ["CompileBPF"]),
    // Not in Bench: a fuzzer's build, with sanitizers, has no networking of the store to compile.
    module(
      "StoreBench",
      uses: ["LoadGenerator", "Paxos", "Sockets", "StoreClient", "StoreState"]),
    .executableTarget(
      name: "hotrack",
      dependencies: [
        "Bench", "Capture", "Configuration", "Controller", "ControllerCore", "DataPlane", "Demo",
        "Directory", "Doctor", "HotrackClient",
        "Linearizability", "LoadGenerator", "Observe", "Server", "Simulation", "Sockets", "Testbed",
        "Telemetry", "TextTables", "TopView", "Wire",
        "Workload", "Paxos", "StoreBench", "StoreClient", "StoreNode", "StoreProtocol",
        "StoreState",
        arguments, log,
      ], swiftSettings: swiftSettings),

    // Fuzzing (dev/run-fuzzers): the decoders as a fuzzer feeds them, and the program that does.
    .target(
      name: "FuzzTargets",
      dependencies: [
        "Bench", "BinaryCoding", "CHotrack", "ClientCore", "Configuration", "Controller",
        "ControllerCore", "Directory", "Linearizability", "Observe", "Paxos", "SegmentLog",
        "ServerCore", "Storage", "StoreProtocol", "StoreState", "Wire",
      ], path: "fuzz/Targets", swiftSettings: swiftSettings),
    .executableTarget(
      name: "hotrack-fuzz", dependencies: ["FuzzTargets"], path: "fuzz/Main",
      cSettings: cSettings + (isFuzzing ? [.define("HOTRACK_LIBFUZZER")] : []),
      linkerSettings: isFuzzing ? [.unsafeFlags(sanitizers + ["-use-ld=lld"])] : []),

    // Building: compiles bpf/*.bpf.c and embeds the objects.
    .executableTarget(name: "bpf-embed", swiftSettings: plainSettings),
    .plugin(name: "CompileBPF", capability: .buildTool(), dependencies: ["bpf-embed"]),

    tests("TextTables"),
    tests("Wire"),
    // For tests: what must hold of a directory while several processors report to it.
    .target(
      name: "DirectoryRace", dependencies: ["Directory"], path: "Tests/DirectoryRace",
      swiftSettings: swiftSettings),
    tests("Directory", uses: ["Wire", "CHotrack", "DirectoryRace"]),
    tests("KeyTemperature"),
    .target(name: "CAllocations", path: "Tests/CAllocations", cSettings: cSettings),
    tests("Storage", uses: ["CAllocations", "Wire"]),
    tests("ServerCore", uses: ["CAllocations", "Storage", "Wire"]),
    tests("ControllerCore", uses: ["Wire", "Directory"]),
    tests("ClientCore", uses: ["Wire"]),
    tests("Observe", uses: ["Wire"]),
    tests("Workload", uses: ["CAllocations"]),
    tests("BinaryCoding"),
    tests("StoreState", uses: ["BinaryCoding"]),
    tests("Paxos", uses: ["BinaryCoding", "StoreState"]),
    tests(
      "StoreNode",
      uses: [
        "BinaryCoding", "CIsolation", "Linearizability", "Paxos", "SegmentLog", "Sockets",
        "StoreClient", "StoreProtocol", "StoreState", log,
      ] + nio),
    tests("SegmentLog"),
    tests("StoreProtocol", uses: ["BinaryCoding", "Paxos", "StoreState"]),
    tests("Linearizability", exclude: ["PUBLISHED.md", "etcd", "kv"]),
    tests("Simulation", uses: ["Linearizability", "Directory", "Wire"]),
    .target(name: "CIsolation", path: "Tests/CIsolation", cSettings: cSettings),
    .testTarget(
      name: "DataPlaneTests",
      dependencies: [
        "CBPF", "CHotrack", "CIsolation", "DataPlane", "Directory", "DirectoryRace", "Wire",
      ],
      swiftSettings: swiftSettings, plugins: ["CompileBPF"]),
    tests("Sockets"),
    tests("HostNetwork", uses: ["Sockets"]),
    tests("RocksDB"),
    tests("DurableStore", uses: ["RocksDB", "ServerCore", "Storage", "Wire"]),
    tests("HotrackClient", uses: ["ClientCore", "ScriptedRack", "Sockets", "Wire"]),
    tests("Server", uses: ["Directory", "HotrackClient", "ServerCore", "Sockets", "Wire", log]),
    tests(
      "Controller",
      uses: [
        "ControllerCore", "DataPlane", "Directory", "HostNetwork", "Server", "Sockets",
        "TextTables", "Wire", log,
      ]),
    tests("Telemetry", uses: ["Controller", "ControllerCore", "Sockets"]),
    tests("TopView", uses: ["Controller", "ControllerCore"]),
    tests(
      "LoadGenerator",
      uses: [
        "CAllocations", "ClientCore", "Linearizability", "ScriptedRack", "Sockets", "Wire",
        "Workload",
      ]),
    tests("Bench", uses: ["LoadGenerator", "Wire", "Workload"]),
    tests("Configuration", uses: ["Sockets"]),
    tests(
      "Testbed",
      uses: [
        "Configuration", "Controller", "ControllerCore", "DataPlane", "Linearizability", "Sockets",
        "Wire",
      ]),
    tests("Demo", uses: ["LoadGenerator"]),
    tests("FuzzTargets"),
    tests(
      "hotrack",
      uses: [
        "Bench", "Configuration", "Controller", "ControllerCore", "Directory", "ScriptedRack",
        "Sockets", "StoreState", "Wire", "Workload", arguments, log,
      ]),

    // For tests: a rack that answers on a real socket as a script says.
    .target(
      name: "ScriptedRack", dependencies: ["Sockets", "Wire"], path: "Tests/ScriptedRack",
      swiftSettings: swiftSettings),
  ]
)
