internal import Foundation
internal import Glibc

/// The machine that figures belong to.
public struct MachineDescription: Sendable, Equatable, Codable {
  /// The processor's name.
  public var processor: String
  /// Processors that may be used.
  public var cores: Int
  /// Bytes of memory.
  public var memory: UInt64
  /// Name and version of the kernel.
  public var kernel: String
  /// The machine is virtual.
  public var isVirtual: Bool

  enum CodingKeys: String, CodingKey {
    case processor, cores, kernel
    case memory = "memory_bytes"
    case isVirtual = "virtual"
  }

  /// This machine.
  public static func current() -> MachineDescription {
    var name = utsname()
    uname(&name)
    func text<Field>(_ field: Field) -> String {
      withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
    return MachineDescription(
      cpuInfo: file("/proc/cpuinfo"), memoryInfo: file("/proc/meminfo"),
      cores: sysconf(Int32(_SC_NPROCESSORS_ONLN)),
      kernel: "\(text(name.sysname)) \(text(name.release))")
  }

  /// From the text of `/proc/cpuinfo` and `/proc/meminfo`.
  init(cpuInfo: String, memoryInfo: String, cores: Int, kernel: String) {
    func field(_ name: String, _ text: String) -> Substring? {
      for line in text.split(separator: "\n") {
        let parts = line.split(separator: ":", maxSplits: 1)
        if parts.count == 2, parts[0].trimmingCharacters(in: .whitespaces) == name {
          return parts[1].drop { $0 == " " }
        }
      }
      return nil
    }
    processor = field("model name", cpuInfo).map(String.init) ?? "unknown processor"
    isVirtual = field("flags", cpuInfo)?.split(separator: " ").contains("hypervisor") ?? false
    let kibibytes = field("MemTotal", memoryInfo).flatMap { UInt64($0.prefix { $0.isNumber }) }
    memory = (kibibytes ?? 0) << 10
    self.cores = cores
    self.kernel = kernel
  }

  /// One line.
  public var text: String {
    let memory = String(format: "%.0f GiB", Double(memory) / 0x1p30)
    return "\(processor), \(cores) \(isVirtual ? "virtual " : "")\(cores == 1 ? "core" : "cores"), "
      + "\(memory); \(kernel)"
  }

  private static func file(_ path: String) -> String {
    FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }
}
