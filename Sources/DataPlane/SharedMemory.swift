internal import CBPF
internal import CHotrack
internal import Glibc

/// The memory that the program and this process both use, and its arrangement.
final class SharedMemory: @unchecked Sendable {
  let directory: directory
  /// How all of it is arranged.
  let layout: UnsafeMutablePointer<plane_layout>
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
    let notes = try loaded.memory(of: "notes", as: directory_notes.self, count: 1)
    parts.notes = notes
    parts.slot_losses = try loaded.memory(
      of: "slot_losses", as: UInt64.self, count: Int(HOTRACK_SLOTS))
    parts.entry_notes = try loaded.memory(
      of: "entry_notes", as: directory_entry_note.self, count: entries)
    // Its first part.
    layout = UnsafeMutableRawPointer(notes).assumingMemoryBound(to: plane_layout.self)
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

  /// The place of a port that is entered already.
  func place(ofPort interface: UInt32) -> UInt32? {
    (0..<UInt32(PLANE_PORT_PROBES)).map { (interface &+ $0) % UInt32(PLANE_PORTS) }
      .first { ports[Int($0)].interface == interface }
  }

  /// Takes away every port but those at these places; returns the places.
  func keepPorts(_ kept: Set<UInt32>) -> [UInt32] {
    let others = (0..<UInt32(PLANE_PORTS)).filter {
      ports[Int($0)].interface != 0 && !kept.contains($0)
    }
    others.forEach(giveBackPort)
    return others
  }

  /// The MAC address that a port was entered with.
  func mac(ofPort place: UInt32) -> [UInt8] {
    withUnsafeBytes(of: &ports[Int(place)].mac) { Array($0) }
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
