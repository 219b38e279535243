using Godwit.Api;
using Godwit.Api.Access;
using Godwit.Api.Disks;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Ownership;
using Godwit.ControlPlane.Store;
using Godwit.ControlPlane.VirtualMachines;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

public sealed class StoreTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("godwit-store-").FullName;

    private readonly FakeFolders _folders = new();

    private string File => Path.Combine(_folder, "godwit.db");

    public void Dispose() => Directory.Delete(_folder, true);

    [Fact(Timeout = 20_000)]
    public void A_VM_comes_back_as_it_was_put_in_after_a_restart()
    {
        var vm = new VirtualMachineRecord(
            Guid.NewGuid(), "Web 1", new VirtualMachineSettings { Kernel = "/boot/vmlinuz", Append = "console=ttyS0 \"quoted\"", Cpus = 2 },
            [new Disk("disk0", "/d/ü, x.vhdx", DiskFormat.VhdxFixed, 1 << 30)], "/vms/Web 1")
        {
            Saved = new SavedStateRecord("/vms/s", DateTimeOffset.UnixEpoch, true, new MachineModel("pc", "max", "tcg"), 1 << 30, 2),
        };
        string identity;
        using (var database = Database.Open(File))
        {
            new VirtualMachineStore(database, _folders).Add(vm);
            identity = HostIdentity.Read(database);
        }
        using (var database = Database.Open(File))
        {
            var store = new VirtualMachineStore(database, _folders);
            Assert.Equivalent(vm, store.Find(vm.Id), strict: true);
            Assert.Equal(vm.Id, store.Get("web 1").Id);
            Assert.Equal(identity, HostIdentity.Read(database));
            var e = Assert.Throws<GodwitException>(() => store.Add(vm with { Id = Guid.NewGuid(), Name = "WEB 1" }));
            Assert.Equal(ErrorCode.AlreadyExists, e.Problem.Code);
        }
    }

    [Fact(Timeout = 20_000)]
    public void A_file_that_is_no_database_is_refused_and_stays_as_it_is()
    {
        System.IO.File.WriteAllText(File, new string('x', 5000));
        var e = Assert.Throws<GodwitException>(() => Database.Open(File));
        Assert.Equal(ErrorCode.Corrupt, e.Problem.Code);
        Assert.Equal(new string('x', 5000), System.IO.File.ReadAllText(File));
    }

    /// <summary>The store as the first version of godwitd left it.</summary>
    [Fact(Timeout = 20_000)]
    public void A_VM_of_the_first_version_keeps_its_settings()
    {
        var id = Guid.NewGuid();
        using (var database = Database.Open(File))
        {
            database.Execute(
                "INSERT INTO vms (id, name, body) VALUES ($id, 'old', $body)",
                ("$id", id.ToString("D")),
                ("$body", $$"""{"id":"{{id:D}}","name":"old","memory":67108864,"cpus":3,"disks":[],"kernel":"/k","append":"a=\"b\""}"""));
            foreach (var later in (string[])["tokens", "join_tokens", "audit", "answers"])
                database.Execute("DROP TABLE " + later);
            database.Execute("PRAGMA user_version=1");
        }
        using (var database = Database.Open(File))
        {
            var vm = new VirtualMachineStore(database, _folders).Find(id)!;
            Assert.Equal(new VirtualMachineSettings { Memory = 64 << 20, Cpus = 3, Kernel = "/k", Append = "a=\"b\"" }, vm.Settings);
            Assert.Equal(("old", "", 0), (vm.Name, vm.Path, vm.Disks.Count));
        }
    }

    [Fact(Timeout = 20_000)]
    public void A_store_of_a_newer_version_is_refused()
    {
        using (var database = Database.Open(File))
            database.Execute("PRAGMA user_version=99");
        var e = Assert.Throws<GodwitException>(() => Database.Open(File));
        Assert.Equal(ErrorCode.Unsupported, e.Problem.Code);
        Assert.Contains("99", e.Problem.Title, StringComparison.Ordinal);
    }

    [Fact(Timeout = 20_000)]
    public void A_failed_transaction_leaves_nothing()
    {
        using var database = Database.Open(File);
        Assert.Throws<InvalidOperationException>(() => database.Transact(() =>
        {
            database.Execute("INSERT INTO meta (key, value) VALUES ('a', 'b')");
            throw new InvalidOperationException();
        }));
        Assert.Empty(database.Query("SELECT value FROM meta WHERE key = 'a'", row => row.GetString(0)));
    }

    /// <summary>Stored as numbers: a changed number would change the meaning of every journal.</summary>
    [Fact]
    public void Stored_numbers_never_change()
    {
        Assert.Equal("Queued=0,Running=1,Undoing=2,Succeeded=3,Failed=4,Cancelled=5", Frozen<JobState>());
        Assert.Equal("Pending=0,Running=1,Done=2,Undone=3,Failed=4", Frozen<JobStepState>());
        Assert.Equal("Settled=0,Moving=1", Frozen<OwnershipPhase>());
        Assert.Equal("Viewer=1,Operator=2,Administrator=3", Frozen<Role>());
        Assert.Equal("Unknown=0,UnixSocket=1,Token=2,Certificate=3", Frozen<CallerOrigin>());
        Assert.Equal(
            "Raw=0,VhdxDynamic=1,VhdxFixed=2,VhdxDifferencing=3,VhdFixed=4,VhdDynamic=5,VhdDifferencing=6", Frozen<DiskFormat>());
        Assert.Equal(
            "Internal=0,InvalidRequest=1,NotFound=2,AlreadyExists=3,WrongState=4,Busy=5,AccessDenied=6,NoSpace=7,Corrupt=8,"
            + "Unsupported=9,IoFailed=10,Cancelled=11,Unavailable=12,Unauthenticated=13,Forbidden=14,TooManyRequests=15", Frozen<ErrorCode>());
    }

    private static string Frozen<T>()
        where T : struct, Enum =>
        string.Join(',', Enum.GetValues<T>().Select(value => $"{value}={Convert.ToInt32(value, null)}"));
}
