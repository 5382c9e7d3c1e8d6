internal import Foundation
internal import Glibc

/// What the machine's processors did during a measurement: to show that they were not what limited
/// it. All in processors (1: one of them all the time).
public struct ProcessorUse: Sendable, Equatable, Codable {
  /// Processors of the machine.
  public var cores: Double
  /// Of this process, which makes the load.
  public var generator: Double
  /// Of processes by role.
  public var processes: [String: Double]
  /// Of everything else, the kernel's own threads among it: what is neither named nor left over.
  public var others: Double
  /// Time in network and other soft interrupts, by the kernel's samples. It is part of the above:
  /// the XDP program runs in the process that sends the packet.
  public var softInterrupts: Double
  /// Taken by the hypervisor for others.
  public var stolen: Double
  /// Left over: the smaller of what the kernel counts as idle and of what all visible processes
  /// have left. Each alone is too large: idle is sampled, and processes may be out of sight.
  public var spare: Double

  enum CodingKeys: String, CodingKey {
    case cores
    case generator = "generator_cores"
    case processes = "process_cores"
    case others = "other_cores"
    case softInterrupts = "softirq_cores"
    case stolen = "stolen_cores"
    case spare = "spare_cores"
  }

  /// Between two samples; nil if no time has passed.
  public init?(from first: Sample, to last: Sample) {
    let seconds = last.time - first.time
    guard seconds > 0, last.cores > 0 else { return nil }
    func rate(_ one: Double, _ other: Double) -> Double { max(0, other - one) / seconds }
    cores = Double(last.cores)
    generator = rate(first.own, last.own)
    processes = [:]
    for (role, time) in last.roles {
      processes[role] = rate(first.roles[role] ?? time, time)
    }
    // What a process did that ended in between is not in it.
    var all = 0.0
    for (process, time) in last.all { all += rate(first.all[process] ?? 0, time) }
    softInterrupts = rate(first.softInterrupts, last.softInterrupts)
    stolen = rate(first.stolen, last.stolen)
    let idle = rate(first.idle, last.idle)
    let named = generator + processes.values.reduce(0, +)
    spare = max(0, min(idle, cores - stolen - max(all, named)))
    others = max(0, cores - stolen - spare - named)
  }

  /// One line.
  public var text: String {
    func number(_ value: Double) -> String { String(format: "%.2f", value) }
    let named = [("load generator", generator)] + processes.sorted { $0.key > $1.key }
    return named.map { "\($0) \(number($1))" }.joined(separator: ", ")
      + ", everything else \(number(others)) (soft interrupts among it all "
      + "\(number(softInterrupts)), stolen \(number(stolen))); spare \(number(spare)) of "
      + "\(number(cores)) cores"
  }

  /// Counts since the start of the machine, in seconds.
  public struct Sample: Sendable {
    var time: Double
    var cores: Int
    var own: Double
    var roles: [String: Double]
    /// By process and its start, in clock ticks: numbers are used again.
    var all: [String: Double]
    var idle: Double
    var softInterrupts: Double
    var stolen: Double

    /// Now; `roles` are processes to be told apart.
    public static func take(roles: [String: Int32]) -> Sample {
      let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
      var clock = timespec()
      clock_gettime(CLOCK_MONOTONIC, &clock)
      var usage = rusage()
      getrusage(RUSAGE_SELF.rawValue, &usage)
      func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
      let stat = SystemTimes(file("/proc/stat"))
      var sample = Sample(
        time: Double(clock.tv_sec) + Double(clock.tv_nsec) / 1e9, cores: stat.cores,
        own: seconds(usage.ru_utime) + seconds(usage.ru_stime), roles: [:], all: [:],
        idle: stat.idle / ticks, softInterrupts: stat.softInterrupts / ticks,
        stolen: stat.stolen / ticks)
      let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
      for name in names {
        guard let process = Int32(name), let times = ProcessTimes(file("/proc/\(name)/stat")) else {
          continue
        }
        sample.all["\(process)/\(times.start)"] = times.used / ticks
        for (role, member) in roles where member == process {
          sample.roles[role] = times.used / ticks
        }
      }
      return sample
    }

    private static func file(_ path: String) -> String {
      FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
  }
}

/// `/proc/stat`, in clock ticks over all processors.
struct SystemTimes: Equatable {
  var cores = 0
  var idle = 0.0
  var softInterrupts = 0.0
  var stolen = 0.0

  init(_ text: String) {
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard let name = fields.first, name.hasPrefix("cpu") else { continue }
      if name != "cpu" {
        cores += 1
        continue
      }
      // user nice system idle iowait irq softirq steal
      let times = fields.dropFirst().compactMap { Double($0) }
      guard times.count >= 8 else { continue }
      // Waiting for a disk is idle too.
      (idle, softInterrupts, stolen) = (times[3] + times[4], times[6], times[7])
    }
  }
}

/// `/proc/PID/stat`: what a process with all its threads has used, in clock ticks. The kernel sums
/// this up exactly; only its division into user and system time is sampled.
struct ProcessTimes: Equatable {
  var used: Double
  var start: UInt64

  init?(_ text: String) {
    // pid (name) state ppid ...; the name may contain anything, so count from the last ")".
    guard let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: end)...].split(separator: " ")
    guard fields.count > 19, let user = Double(fields[11]), let system = Double(fields[12]),
      let start = UInt64(fields[19])
    else { return nil }
    used = user + system
    self.start = start
  }
}
