import Bench
import Foundation
import Testing
import Workload

/// `hotrack observe` on files, and on real memcached and Redis servers.
@Suite struct ObserveCommandTests {
  private struct Printed: Decodable {
    struct Key: Decodable {
      var key: String
      var `protocol`: String
      var requests: Double
      var share: Double
      var readShare: Double
    }
    struct Skew: Decodable { var alpha: Double }
    struct Packets: Decodable {
      var all: Int
      var dropped: Int?
    }
    var requests: Double
    var keys: [Key]
    var skew: Skew?
    var packets: Packets
    var distinctKeys: Double
  }

  private func printed(_ bytes: [UInt8]) throws -> Printed {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(Printed.self, from: Data(bytes))
  }

  private func temporaryFile(_ name: String) -> String {
    FileManager.default.temporaryDirectory.appending(path: "\(UUID())-\(name)").path
  }

  @Test(arguments: TrafficFile.Kind.allCases)
  func aFilesKeysAreCounted(_ kind: TrafficFile.Kind) async throws {
    let path = temporaryFile("traffic.pcap")
    defer { try? FileManager.default.removeItem(atPath: path) }
    let file = try TrafficFile(
      kind, packets: 20_000, keys: 1_000, alpha: 1, readShare: 0.9, path: path)
    let run = try await hotrack(["observe", "-r", path, "--json"])
    try #require(run.code == 0, "\(run.errors)")
    let seen = try printed(run.output)
    #expect(seen.packets.all == file.packets && seen.packets.dropped == nil)
    #expect(Int(seen.requests) == file.requests)
    #expect(seen.keys.count == 20)
    #expect(abs(seen.distinctKeys - Double(file.distinctKeys)) < 30)
    #expect(abs((seen.skew?.alpha ?? 0) - 1) < 0.1)
    let text = try await hotrack(["observe", "-r", path, "tcp", "or", "udp"])
    #expect(text.code == 0 && text.text.contains("KEY "))
    let nothing = try await hotrack(["observe", "-r", path, "port 9"])
    #expect(nothing.text.contains("No requests"))
  }

  @Test func whatCannotBeReadIsRefused() async throws {
    let path = temporaryFile("damaged.pcap")
    defer { try? FileManager.default.removeItem(atPath: path) }
    _ = try TrafficFile(.redis, packets: 200, keys: 10, alpha: 1, readShare: 1, path: path)
    let bytes = try Data(contentsOf: URL(filePath: path))
    try bytes.dropLast(10).write(to: URL(filePath: path))
    let damaged = try await hotrack(["observe", "-r", path])
    #expect(damaged.code == 1 && damaged.errors.contains("is damaged"))
    // What stood before it is shown.
    #expect(damaged.text.contains("redis"))
    try Data("no capture".utf8).write(to: URL(filePath: path))
    for (arguments, code, words) in [
      (["-r", path], 1, "it must be a capture"), (["-r", "/nonexistent"], 1, "cannot read"),
      (["-i", "nonexistent0"], 1, "there is no interface"),
      (["-i", "lo", "no filter"], 1, "is no filter"), ([], 64, "name an interface"),
      (["-i", "lo", "-r", path], 64, "one of them"),
      (["-r", path, "--port", "7000=x"], 64, "7000=x"),
      (["-r", path, "--servers", "1"], 64, "--servers"),
    ] as [([String], Int32, String)] {
      let run = try await hotrack(["observe"] + arguments)
      #expect(run.code == code, "\(arguments)")
      #expect(
        run.errors.contains(words) || run.errors.contains("not permitted"), "\(run.errors)")
    }
  }

  // MARK: Real servers

  private static func has(_ tools: [String]) -> Bool {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    return tools.allSatisfy { tool in
      folders.contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(tool)") }
    }
  }

  /// Commands after Zipf, and how often each key is in them; values look like commands.
  private func load(_ count: Int, redis: Bool) -> (bytes: [UInt8], truth: [String: Int]) {
    var random = RandomSource(seed: 5)
    let popularity = ZipfDistribution(count: 1_000, alpha: 1)
    var (text, truth) = ("", [String: Int]())
    for _ in 0..<count {
      let key = "key\(popularity.rank(using: &random))"
      truth[key, default: 0] += 1
      let value = String(repeating: "get fake\r\n", count: 1 + random.below(300))
      if random.unit() < 0.75 {
        text += redis ? "*2\r\n$3\r\nGET\r\n$\(key.count)\r\n\(key)\r\n" : "get \(key)\r\n"
      } else {
        let length = value.utf8.count
        text +=
          redis
          ? "*3\r\n$3\r\nSET\r\n$\(key.count)\r\n\(key)\r\n$\(length)\r\n\(value)\r\n"
          : "set \(key) 0 0 \(length)\r\n\(value)\r\n"
      }
    }
    return (Array(text.utf8), truth)
  }

  /// In a network namespace that ends with its last process.
  private static let script = """
    set -e
    ip link set lo up
    case $3 in
    memcached) memcached -u nobody -l 127.0.0.1 -U 0 & ;;
    redis) redis-server --bind 127.0.0.1 --save '' --daemonize no --dir /tmp >/dev/null & ;;
    esac
    server=$!
    "$1" observe -i lo --json &
    observer=$!
    # Until both are ready: the socket is bound (columns Iface and R), and then has its ring.
    until awk 'NR > 1 && $5 && $6 { bound = 1 } END { exit !bound }' /proc/net/packet; do sleep 0.02; done
    sleep 1
    until (exec 4<>/dev/tcp/127.0.0.1/$4) 2>/dev/null; do sleep 0.02; done
    case $3 in
    memcached)
      exec 3<>/dev/tcp/127.0.0.1/$4
      { cat "$2"; printf 'quit\\r\\n'; } >&3 &
      cat <&3 >/dev/null ;;
    redis) redis-cli --pipe <"$2" >/dev/null ;;
    esac
    # What the kernel gathers it hands over within a tenth of a second.
    sleep 1
    kill -INT $observer
    wait $observer
    # Not TERM: whoever runs the tests may have blocked it, and that is inherited.
    kill -KILL $server
    wait $server || true
    """

  @Test(
    .enabled(
      if: geteuid() == 0 && has(["unshare", "memcached", "redis-server", "redis-cli"]),
      "needs root, memcached and redis-server"),
    arguments: [("memcached", "11211"), ("redis", "6379")])
  func realServersTopKeysAreRight(_ server: String, _ port: String) async throws {
    let path = temporaryFile("load")
    defer { try? FileManager.default.removeItem(atPath: path) }
    let (bytes, truth) = load(20_000, redis: server == "redis")
    try Data(bytes).write(to: URL(filePath: path))
    let output = try await Self.shell([
      "unshare", "--net", "bash", "-c", Self.script, "bash", executable.path, path, server, port,
    ])
    let seen = try printed(output)
    // redis-cli ends with an ECHO, which has no key.
    #expect(abs(seen.requests - 20_000) <= 200, "\(seen.packets)")
    let hottest = truth.sorted { $0.value != $1.value ? $0.value > $1.value : $0.key < $1.key }
    #expect(seen.keys.first?.key == hottest.first?.key)
    let shares = Dictionary(uniqueKeysWithValues: seen.keys.map { ($0.key, $0.share) })
    for (key, count) in hottest.prefix(10) {
      #expect(abs((shares[key] ?? 0) - Double(count) / 20_000) < 0.01, "\(key)")
    }
    #expect(seen.keys.allSatisfy { $0.protocol == server && abs($0.readShare - 0.75) < 0.2 })
  }

  private static func shell(_ arguments: [String]) async throws -> [UInt8] {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    return try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        continuation.resume(
          with: Result {
            try process.run()
            let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            return Array(bytes)
          })
      }
    }
  }
}
