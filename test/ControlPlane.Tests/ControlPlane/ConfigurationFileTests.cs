using System.Text;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Store;
using Godwit.ControlPlane.VirtualMachines;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>The file beside a VM and the host's store: whatever comes in between, they say the same in the end.</summary>
public sealed class ConfigurationFileTests : IDisposable
{
    private static readonly VirtualMachineRecord Vm = new(
        Guid.Parse("0a0b0c0d-1111-2222-3333-444455556666"), "web", new VirtualMachineSettings { Notes = "ü <tag>" },
        [new Disk("disk0", "/src/a.vhdx", DiskFormat.VhdxDynamic, 1 << 30)], "/vms/web")
    { Revision = 1 };

    private readonly Database _database = Database.Open(":memory:");
    private readonly FakeFolders _folders = new();
    private readonly VirtualMachineStore _store;

    public ConfigurationFileTests()
    {
        _store = new VirtualMachineStore(_database, _folders);
        _store.Add(Vm);
    }

    private static string File => "/vms/web/Virtual Machines/0a0b0c0d-1111-2222-3333-444455556666.json";

    private string Text => Encoding.UTF8.GetString(_folders.Read(File)!);

    public void Dispose() => _database.Dispose();

    [Fact]
    public void The_file_can_be_read_by_people()
    {
        Assert.Equal([File], _folders.Files);
        Assert.Contains("\n    \"name\": \"web\",\n", Text, StringComparison.Ordinal);
        Assert.Contains("\"automaticStartAction\": \"StartIfRunning\"", Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_change_is_in_the_file_and_in_the_index()
    {
        Assert.Equal(2, _store.Change(Vm.Id, vm => vm with { Name = "www" })!.Revision);
        Assert.Equal("www", _store.Find(Vm.Id)!.Name);
        Assert.Null(_store.Find("web"));
        Assert.Contains("\"name\": \"www\"", Text, StringComparison.Ordinal);
        Assert.Null(_store.Follow(Vm.Id));
    }

    [Fact]
    public void A_change_whose_file_cannot_be_written_has_not_happened_whatever_became_of_the_file()
    {
        var before = _folders.Read(File)!;
        _folders.Unwritable = true;
        Assert.Throws<GodwitException>(() => _store.Change(Vm.Id, vm => vm with { Name = "www" }));
        Assert.Equal("web", _store.Find(Vm.Id)!.Name);
        _folders.Unwritable = false;
        // As if the failure had come after the new file was there.
        _folders.Write(File, Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(before).Replace("\"web\"", "\"www\"", StringComparison.Ordinal)
            .Replace("\"revision\": 1", "\"revision\": 2", StringComparison.Ordinal)));
        Assert.Contains("was written", _store.Follow(Vm.Id), StringComparison.Ordinal);
        Assert.Equal("web", _store.Find(Vm.Id)!.Name);
        Assert.Contains("\"name\": \"web\"", Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_taken_name_is_refused_and_nothing_changes()
    {
        var other = Vm with { Id = Guid.NewGuid(), Name = "db", Path = "/vms/db" };
        _store.Add(other);
        Assert.Equal(ErrorCode.AlreadyExists, Assert.Throws<GodwitException>(() => _store.Change(other.Id, vm => vm with { Name = "WEB" })).Problem.Code);
        Assert.Equal("db", _store.Find(other.Id)!.Name);
        Assert.Null(_store.Follow(other.Id));
    }

    [Fact]
    public void What_has_happened_is_recorded_although_the_file_cannot_be_written_and_the_file_follows()
    {
        _folders.Unwritable = true;
        _store.SetDiskPaths(Vm.Id, new Dictionary<string, string> { ["disk0"] = "/dst/a.vhdx" });
        Assert.Equal("/dst/a.vhdx", _store.Find(Vm.Id)!.Disks[0].Path);
        Assert.DoesNotContain("/dst", Text, StringComparison.Ordinal);
        _folders.Unwritable = false;
        Assert.NotNull(_store.Follow(Vm.Id));
        Assert.Contains("/dst/a.vhdx", Text, StringComparison.Ordinal);
    }

    [Fact]
    public void What_comes_and_goes_by_itself_is_in_the_index_only()
    {
        _folders.Unwritable = true;
        var before = Text;
        _store.Note(Vm.Id, vm => vm with { Powered = true, CriticalSince = DateTimeOffset.UnixEpoch });
        Assert.Equal((true, 1), (_store.Find(Vm.Id)!.Powered, _store.Find(Vm.Id)!.Revision));
        _folders.Unwritable = false;
        Assert.Null(_store.Follow(Vm.Id));
        Assert.False(_store.Differs(_store.Find(Vm.Id)!));
        Assert.Equal(before, Text);
        // A newer file does not make the host forget it.
        _store.Change(Vm.Id, vm => vm with { Name = "www" });
        _database.Execute("UPDATE vms SET name = 'web', body = replace(replace(body, 'www', 'web'), '\"revision\":2', '\"revision\":1')");
        _store.Follow(Vm.Id);
        Assert.Equal(("www", true), (_store.Find(Vm.Id)!.Name, _store.Find(Vm.Id)!.Powered));
    }

    [Fact]
    public void A_crash_between_file_and_index_leaves_the_new_record()
    {
        _store.Change(Vm.Id, vm => vm with { Name = "www" });
        _database.Execute("UPDATE vms SET name = 'web', body = replace(replace(body, 'www', 'web'), '\"revision\":2', '\"revision\":1')");
        Assert.Equal(("web", 1), (_store.Find(Vm.Id)!.Name, _store.Find(Vm.Id)!.Revision));
        Assert.Contains("newer", _store.Follow(Vm.Id), StringComparison.Ordinal);
        Assert.Equal("www", _store.Find(Vm.Id)!.Name);
    }

    [Fact]
    public void A_missing_file_is_written_again()
    {
        _folders.DeleteFile(File);
        Assert.NotNull(_store.Follow(Vm.Id));
        Assert.Equal([File], _folders.Files);
    }

    [Theory]
    [InlineData("", "line 1")]
    [InlineData("{ \"version\": 1, \"vm\": { \"name\": 7 } }", "$.vm.name")]
    [InlineData("{ \"version\": 1 }", "does not describe a VM")]
    [InlineData("{ \"version\": 1, \"vm\": { \"name\": \"web\" } }", "does not describe a VM")]
    [InlineData("[]", "JSON")]
    public void A_damaged_file_is_told_with_its_place_and_the_index_stays(string content, string words)
    {
        _folders.Write(File, Encoding.UTF8.GetBytes(content));
        var e = Assert.Throws<GodwitException>(() => _store.Follow(Vm.Id));
        Assert.Equal(ErrorCode.Corrupt, e.Problem.Code);
        Assert.Contains(File, e.Problem.Title, StringComparison.Ordinal);
        Assert.Contains(words, e.Problem.Title, StringComparison.Ordinal);
        Assert.Equal("web", _store.Find(Vm.Id)!.Name);
    }

    [Fact]
    public void A_file_of_a_later_version_is_left_alone()
    {
        _folders.Write(File, Encoding.UTF8.GetBytes("""{ "version": 2, "vm": {} }"""));
        Assert.Equal(ErrorCode.Unsupported, Assert.Throws<GodwitException>(() => _store.Follow(Vm.Id)).Problem.Code);
    }

    [Fact]
    public void A_removed_VM_leaves_no_file()
    {
        _store.Remove(Vm.Id);
        Assert.Empty(_folders.Files);
        Assert.Null(_store.Find(Vm.Id));
    }
}
