import ArgumentParser

/// The command line: a thin layer over the modules, one file for each command.
@main
struct Hotrack: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hotrack",
    abstract: "A rack of key-value servers that carries skewed load.",
    subcommands: [
      ServerCommand.self,
      GetCommand.self,
      SetCommand.self,
      DeleteCommand.self,
      ControllerCommand.self,
      AttachCommand.self,
      ConfigCommand.self,
      DetachCommand.self,
      ReloadCommand.self,
      ExplainCommand.self,
      DoctorCommand.self,
      StatusCommand.self,
      KeysCommand.self,
      ServersCommand.self,
      StatsCommand.self,
      EventsCommand.self,
      TopCommand.self,
      ExporterCommand.self,
      ControlCommand.self,
      ObserveCommand.self,
      CheckCommand.self,
      SimulateCommand.self,
      TestbedCommand.self,
      DemoCommand.self,
      LoadCommand.self,
      ProfilesCommand.self,
      BenchCommand.self,
      StoreCommand.self,
    ]
  )
}
