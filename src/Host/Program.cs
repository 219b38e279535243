using Godwit.Api;
using Godwit.ControlPlane.Ownership;
using Godwit.ControlPlane.Store;
using Godwit.ControlPlane.VirtualMachines;
using Godwit.Host;
using Godwit.Host.Files;
using Godwit.Host.VirtualMachines;
using Godwit.Host.Workers;

try
{
    var options = DaemonOptions.Parse(args);
    if (options.Help)
    {
        Console.WriteLine(DaemonOptions.Usage);
        return 0;
    }
    return await RunAsync(options);
}
catch (GodwitException e)
{
    Console.Error.WriteLine($"godwitd: {e.Problem.Title} {e.Problem.Remedy}");
    return e.Problem.Code == ErrorCode.InvalidRequest ? 2 : 1;
}
catch (Exception e) when (e is IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine($"godwitd: {e.Message}");
    return 1;
}

static async Task<int> RunAsync(DaemonOptions options)
{
    var time = TimeProvider.System;
    var folders = new HostFolders(options.State, options.Run);
    folders.Prepare();
    using var instance = InstanceLock.Take(folders.LockFile);
    using var database = Database.Open(folders.Database);
    var program = new WorkerProgram(options.Worker, time);
    using var accelerators = new QemuAccelerators(folders, options.Qemu, time);
    await using var runtime = new QemuRuntime(folders, accelerators, options.Qemu, options.Firmware, time);
    IReadOnlyList<string> roots = options.AllowedRoots.Count == 0 ? [] : [options.Machines, .. options.AllowedRoots];
    var disks = new LocalFolders([options.State, options.Run], roots);
    var parts = new VirtualMachineParts(
        new VirtualMachineStore(database, disks),
        runtime,
        new SupervisedWorkers(folders, disks.ForParents, program, time),
        new WorkerImages(program, disks.ForParents, time),
        disks,
        new SqliteOwnershipStore(database),
        new VirtualMachineGates(),
        HostIdentity.Read(database),
        options.Machines);
    await using var app = HostApplication.Build(options, folders, database, parts, accelerators, time);
    await app.RunAsync();
    return 0;
}
