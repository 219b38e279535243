using Godwit.Api.Disks;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Migrations;
using Godwit.ControlPlane.Ownership;
using Godwit.ControlPlane.Store;
using Godwit.ControlPlane.VirtualMachines;
using Godwit.ControlPlane.VirtualMachines.Checkpoints;
using Godwit.ControlPlane.VirtualMachines.Creating;
using Godwit.ControlPlane.VirtualMachines.Drives;
using Godwit.ControlPlane.VirtualMachines.Removing;
using Godwit.ControlPlane.VirtualMachines.Saving;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>A host whose processes and files are fakes and whose daemon can be killed and started again over the same
/// SQLite file, on virtual time.</summary>
internal sealed class FakeHost : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateDirectory(
        Path.Combine(Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath(), "godwit-" + Guid.NewGuid().ToString("N"))).FullName;

    private readonly List<JobRunner> _dead = [];

    public FakeHost()
    {
        Folders = new FakeFolders();
        Workers = new FakeWorkers(Folders);
        Images = new FakeImages(Folders);
        Runtime = new FakeRuntime(Time, Folders);
        StartDaemon();
        Starts.NoteBoot(Boot);
    }

    public FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));

    public FakeFolders Folders { get; }

    public FakeWorkers Workers { get; }

    public FakeRuntime Runtime { get; }

    public FakeImages Images { get; }

    public FaultPoint Faults { get; } = new();

    public Database Database { get; private set; } = null!;

    public JobRunner Jobs { get; private set; } = null!;

    public StorageMoves Moves { get; private set; } = null!;

    public VirtualMachineOperations Operations { get; private set; } = null!;

    public VirtualMachineLife Life { get; private set; } = null!;

    public VirtualMachineControl Control { get; private set; } = null!;

    public VirtualMachineChanges Changes { get; private set; } = null!;

    public CheckpointOperations Checkpoints { get; private set; } = null!;

    public DvdDrives Drives { get; private set; } = null!;

    public SavedStates Saved { get; private set; } = null!;

    public AutomaticStart Starts { get; private set; } = null!;

    public Rescan Rescan { get; private set; } = null!;

    public AutomaticStop Stops { get; private set; } = null!;

    /// <summary>Tells one start of the computer from another.</summary>
    public string Boot { get; set; } = "first";

    public VirtualMachineParts Parts { get; private set; } = null!;

    public Reconciler Reconciler { get; private set; } = null!;

    public List<string> Told { get; } = [];

    public void StartDaemon()
    {
        Database = Database.Open(Path.Combine(_folder, "godwit.db"));
        Parts = new VirtualMachineParts(
            new VirtualMachineStore(Database, Folders), Runtime, Workers, Images, Folders, new SqliteOwnershipStore(Database),
            new VirtualMachineGates(), HostIdentity.Read(Database), "/vms");
        Jobs = new JobRunner(Database, [new StorageMoveKind(Parts), new SaveKind(Parts), new CreateKind(Parts), new RemoveKind(Parts), new CheckpointKind(Parts), new ApplyKind(Parts), new MergeKind(Parts)], Time, [Faults]);
        Moves = new StorageMoves(Parts, Jobs);
        Operations = new VirtualMachineOperations(Parts, Jobs, Time);
        Life = new VirtualMachineLife(Parts, Jobs);
        Control = new VirtualMachineControl(Parts, Jobs);
        Changes = new VirtualMachineChanges(Parts, Jobs);
        Drives = new DvdDrives(Parts, Jobs);
        Saved = new SavedStates(Parts, Jobs);
        Checkpoints = new CheckpointOperations(Parts, Jobs, Time);
        Starts = new AutomaticStart(Parts, Operations, Database, Time, (vm, text) => Told.Add($"{vm.Name} {text}"));
        Rescan = new Rescan(Parts);
        Stops = new AutomaticStop(Parts, Operations, Saved, Jobs);
        Reconciler = new Reconciler(Parts, Jobs, Saved, Time, (vm, text) => Told.Add($"{vm.Name} {text}"));
    }

    /// <summary>As `kill -9` and a new start. What the old daemon was doing stands still for ever where it was.</summary>
    public async Task KillAndStartDaemonAsync()
    {
        _dead.Add(Jobs);
        Database.Dispose();
        StartDaemon();
        Reconciler.FollowFiles();
        Starts.NoteBoot(Boot);
        await Reconciler.ReconcileAsync(TestContext.Current.CancellationToken);
        Jobs.Resume();
    }

    /// <summary>As `kill -9` in the middle of a job's step: nothing of it is done, or journalled, from here on.</summary>
    public void Die()
    {
        Faults.Killed = true;
        _ = Jobs.DisposeAsync().AsTask();
        throw new OperationCanceledException();
    }

    /// <summary>As a power cut and a new start of the computer: every process is gone.</summary>
    public async Task RebootAsync()
    {
        Boot += "+";
        foreach (var vm in Parts.Vms.List())
        {
            Runtime[vm.Id] = VirtualMachineState.Off;
            if (Workers.Find(vm.Id) is not null)
                Workers.Kill(vm.Id);
        }
        await KillAndStartDaemonAsync();
    }

    /// <summary>A VM with disks in /src, running unless told otherwise.</summary>
    public async Task<VirtualMachineRecord> AddVmAsync(string name = "vm", int disks = 1, bool running = true)
    {
        var token = TestContext.Current.CancellationToken;
        var specs = Enumerable.Range(0, disks).Select(i => new DiskSpec($"/src/{name}{i}.vhdx", 1 << 30));
        await Life.CreateAsync(new VirtualMachineSpec(name, new VirtualMachineSettings { Memory = 64 << 20 }, [.. specs]), token);
        Faults.Forget();
        if (running)
            await Operations.StartAsync(name, token);
        return Parts.Vms.Get(name);
    }

    /// <summary>Lets virtual time pass until the condition holds.</summary>
    public async Task UntilAsync(Func<bool> condition)
    {
        var token = TestContext.Current.CancellationToken;
        for (var i = 0; !condition(); i++)
        {
            Assert.True(i < 20_000, "the condition never came true");
            Time.Advance(TimeSpan.FromMilliseconds(250));
            await Task.Delay(1, token);
        }
    }

    /// <summary>Lets virtual time pass until the job has ended; a daemon that was killed is started again.</summary>
    public async Task<Job> EndAsync(Guid job)
    {
        while (true)
        {
            await UntilAsync(() => Faults.Killed || Jobs.Get(job).HasEnded);
            if (!Faults.Killed)
                return Jobs.Get(job);
            Faults.Killed = false;
            await KillAndStartDaemonAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Jobs.DisposeAsync();
        Database.Dispose();
        Directory.Delete(_folder, true);
    }
}
