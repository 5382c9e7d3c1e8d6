internal import CBPF
internal import CHotrack
internal import Glibc

/// The memory that the program and this process both use, and its arrangement.
final class SharedMemory: @unchecked Sendable {
  let directory: directory
  private let ports: UnsafeMutablePointer<plane_port>
  private let entryCounts: UnsafeMutablePointer<plane_entry_counts>
  private let owner: LoadedProgram

  init(_ loaded: LoadedProgram, buckets: Int) throws(DataPlaneError) {
    let entries = buckets * Int(DIRECTORY_WAYS)
    // libbpf's name for the map of the program's zeroed variables, of which there is one.
    let memory = try loaded.memory(
      of: ".bss", as: UInt8.self, count: Int(hotrack_plane_memory_size()))
    var parts = CHotrack.directory()
    var ports: UnsafeMutablePointer<plane_port>?
    hotrack_plane_memory_parts(memory, &parts, &ports)
    guard let ports else { preconditionFailure("the memory has no ports") }
    self.ports = ports
    parts.buckets = try loaded.memory(of: "buckets", as: directory_bucket.self, count: buckets)
    parts.details = try loaded.memory(of: "details", as: directory_detail.self, count: entries)
    directory = parts
    entryCounts = try loaded.memory(
      of: "entry_counts", as: plane_entry_counts.self, count: entries * loaded.processors)
    owner = loaded
  }

  /// Enters a port where the program looks for it. Returns its place. The caller serialises.
  func takePort(_ interface: UInt32, _ port: plane_port) throws(DataPlaneError) -> UInt32 {
    for probe in 0..<UInt32(PLANE_PORT_PROBES) {
      let place = (interface &+ probe) % UInt32(PLANE_PORTS)
      guard ports[Int(place)].interface == 0 else { continue }
      ports[Int(place)].mac = port.mac
      hotrack_store32(&ports[Int(place)].interface, interface)
      return place
    }
    throw .tooManyPorts
  }

  func giveBackPort(_ place: UInt32) { hotrack_store32(&ports[Int(place)].interface, 0) }

  /// The rows of the counts are the processors: each adds to its own.
  func counts(
    ofEntry entry: Int, capacity: Int, _ processors: Int
  ) -> (reads: UInt64, writes: UInt64) {
    precondition(entry < capacity, "entry \(entry) is outside the directory")
    var sum: (reads: UInt64, writes: UInt64) = (0, 0)
    for processor in 0..<processors {
      let place = entryCounts + (processor * capacity + entry)
      sum.reads += hotrack_load64(&place.pointee.reads)
      sum.writes += hotrack_load64(&place.pointee.writes)
    }
    return sum
  }

  func resetCounts(ofEntry entry: Int, capacity: Int, _ processors: Int) {
    precondition(entry < capacity, "entry \(entry) is outside the directory")
    for processor in 0..<processors {
      let place = entryCounts + (processor * capacity + entry)
      hotrack_store64(&place.pointee.reads, 0)
      hotrack_store64(&place.pointee.writes, 0)
    }
  }
}
