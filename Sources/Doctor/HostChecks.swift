internal import DataPlane
internal import Glibc

/// What of the host itself a rack's controller needs.
struct HostChecks {
  /// As `uname -r` says.
  var kernelRelease: String
  /// Bit per capability that this process has in effect.
  var capabilities: UInt64
  var hasBPFFileSystem: Bool
  /// `net.core.bpf_jit_enable`; nil: it cannot be read.
  var jit: Int?
  /// Nil: it cannot be read.
  var clockSource: String?

  /// BTF, multi-buffer XDP and `bpf_xdp_load_bytes`, as the data plane needs them.
  private static let oldestKernel = (5, 18)
  private static let needed: [(bit: UInt64, name: String)] = [
    (12, "cap_net_admin"), (38, "cap_perfmon"), (39, "cap_bpf"),
  ]

  var findings: [Finding] { [kernel, rights, fileSystem, translation, memory, clock] }

  private var kernel: Finding {
    let numbers = kernelRelease.split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap {
      Int($0)
    }
    let isNew = numbers.count == 2 && (numbers[0], numbers[1]) >= Self.oldestKernel
    return isNew
      ? Finding("kernel", nil, .ok, kernelRelease)
      : Finding(
        "kernel", nil, .bad, "\(kernelRelease) is too old: the data plane needs 5.18 or newer",
        fix: "boot a newer kernel")
  }

  private var rights: Finding {
    let missing = Self.needed.filter { capabilities >> $0.bit & 1 == 0 }.map(\.name)
    return missing.isEmpty
      ? Finding("capabilities", nil, .ok, "cap_bpf, cap_net_admin and cap_perfmon")
      : Finding(
        "capabilities", nil, .bad, "this process lacks \(missing.joined(separator: ", "))",
        fix: "run as root, or: setcap cap_bpf,cap_net_admin,cap_perfmon+ep $(command -v hotrack)")
  }

  private var fileSystem: Finding {
    hasBPFFileSystem
      ? Finding("bpf_file_system", nil, .ok, "mounted at /sys/fs/bpf")
      : Finding(
        "bpf_file_system", nil, .warning,
        "not mounted at /sys/fs/bpf; the controller mounts it, if it may",
        fix: "mount -t bpf bpf /sys/fs/bpf (and under `ip netns exec` use nsenter --net instead)")
  }

  private var translation: Finding {
    switch jit {
    case 0?:
      Finding(
        "bpf_jit", nil, .warning,
        "programs are interpreted: each packet costs several times as much",
        fix: "sysctl -w net.core.bpf_jit_enable=1")
    case _?: Finding("bpf_jit", nil, .ok, "programs are translated to machine code")
    case nil: Finding("bpf_jit", nil, .ok, "always on in this kernel, or not shown")
    }
  }

  private var memory: Finding {
    // Of kernels that are new enough, and so no matter of RLIMIT_MEMLOCK.
    Finding(
      "memlock", nil, .ok,
      "this kernel counts the memory of maps by control group, without a limit of its own")
  }

  private var clock: Finding {
    guard let clockSource else {
      return Finding("clock", nil, .ok, "its source is not shown here")
    }
    let isSlow = ["hpet", "acpi_pm", "jiffies", "refined-jiffies"].contains(clockSource)
    return isSlow
      ? Finding(
        "clock", nil, .warning, "source \(clockSource): reading it takes microseconds",
        fix: "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource")
      : Finding("clock", nil, .ok, "source \(clockSource)")
  }
}

extension HostChecks {
  /// Of this host and process.
  init() {
    var names = utsname()
    uname(&names)
    kernelRelease = withUnsafeBytes(of: &names.release) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    let line = readText("/proc/thread-self/status").split(separator: "\n").first {
      $0.hasPrefix("CapEff:")
    }
    capabilities = line.flatMap { UInt64($0.dropFirst(7).trimmed, radix: 16) } ?? 0
    hasBPFFileSystem = PinDirectory.isFileSystemMounted
    jit = Int(readText("/proc/sys/net/core/bpf_jit_enable").trimmed)
    let source = readText("/sys/devices/system/clocksource/clocksource0/current_clocksource")
      .trimmed
    clockSource = source.isEmpty ? nil : String(source)
  }
}

/// What a small file says; nothing if it cannot be read.
func readText(_ path: String) -> String {
  let file = open(path, O_RDONLY | O_CLOEXEC)
  guard file >= 0 else { return "" }
  defer { close(file) }
  var bytes = [UInt8](repeating: 0, count: 16384)
  let length = read(file, &bytes, bytes.count)
  return String(decoding: bytes.prefix(max(0, length)), as: UTF8.self)
}

extension StringProtocol {
  /// Without blanks at both ends.
  var trimmed: SubSequence {
    var part = self[...]
    while part.first?.isWhitespace == true { part = part.dropFirst() }
    while part.last?.isWhitespace == true { part = part.dropLast() }
    return part
  }
}
