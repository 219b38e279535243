using System.Text.Json;
using Godwit.Storage.Formats;
using Godwit.Testing.Guest;
using Xunit;

namespace Godwit.EndToEnd;

/// <summary>A real guest that writes, with checkpoints taken, applied, removed and merged beneath it.</summary>
public sealed class CheckpointTests(ITestOutputHelper output)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = 300_000)]
    public async Task Three_deep_applied_and_merged_while_the_guest_writes()
    {
        await using var guest = await GuestUnderTest.StartAsync(Token);
        var taken = new List<(string Path, string Hash, string Log)>();
        for (var i = 0; i < 3; i++)
        {
            taken.Add(await TakeAsync(guest, $"c{i}"));
            if (i == 1)
            {
                await guest.Host.KillDaemonAsync(Token);
                await guest.Host.StartDaemonAsync(Token);
            }

            await guest.GoesOnWritingAsync(Token);
        }

        await AssertKeptAsync(guest, taken);
        (await CheckpointAsync(guest, "rename", "c1", "middle")).Succeeded();
        Assert.NotEqual(0, (await CheckpointAsync(guest, "apply", "middle")).ExitCode);
        var log = await ApplyAsync(guest, "middle", taken[1].Log);
        await guest.GoesOnWritingAsync(Token);
        Assert.Equal(["c0", "middle", "c2"], await NamesAsync(guest));
        await AssertKeptAsync(guest, taken);

        // Now two branches: c2, and what runs. Both need "middle"; c0 has one child.
        (await CheckpointAsync(guest, "remove", "c0")).Succeeded();
        Assert.Equal(taken[1].Hash, await HashAsync(guest, await DiskOfAsync(guest, "middle")));
        Assert.Equal(taken[2].Hash, await HashAsync(guest, await DiskOfAsync(guest, "c2")));
        await RemoveUnderKillsAsync(guest);
        Assert.Empty(await NamesAsync(guest));
        Assert.Equal(guest.Source, await guest.DiskPathAsync(Token));
        Assert.Equal([guest.Source], Directory.GetFiles(Path.GetDirectoryName(guest.Source)!));
        // One file again: it can be moved as any other.
        var fast = Directory.CreateDirectory(Path.Combine(guest.Host.Folder, "b")).FullName;
        (await guest.Host.GodwitAsync(["vm", "move-storage", GuestUnderTest.Name, "--to", fast], Token)).Succeeded();
        await StopAndVerifyAsync(guest, log, Path.Combine(fast, Path.GetFileName(guest.Source)));
        Assert.Equal(0, guest.Log.ErrorCount);
    }

    [Fact(Timeout = 300_000)]
    public async Task Of_a_VM_that_is_off_and_of_a_saved_one()
    {
        await using var guest = await GuestUnderTest.StartAsync(Token);
        (await guest.Host.GodwitAsync(["vm", "save", GuestUnderTest.Name], Token)).Succeeded();
        (await CheckpointAsync(guest, "create", "--name", "saved")).Succeeded();
        var before = guest.Log.AcknowledgedCount;
        (await guest.Host.GodwitAsync(["vm", "start", GuestUnderTest.Name], Token)).Succeeded();
        await guest.Log.WaitForAcknowledgedAsync(before + 100, TimeSpan.FromSeconds(30), Token);
        (await guest.Host.GodwitAsync(["vm", "stop", GuestUnderTest.Name, "--turn-off"], Token)).Succeeded();
        (await CheckpointAsync(guest, "create", "--name", "off")).Succeeded();
        var hash = await HashAsync(guest, await DiskOfAsync(guest, "off"));
        await WriteAndTurnOffAsync(guest);
        (await CheckpointAsync(guest, "create", "--name", "later")).Succeeded();
        var later = await HashAsync(guest, await DiskOfAsync(guest, "later"));
        for (var round = 0; round < 2; round++)
        {
            (await CheckpointAsync(guest, "apply", "saved", "--start")).Succeeded();
            Assert.Equal("Running", (await guest.ShowAsync(Token)).GetProperty("state").GetString());
            await guest.GoesOnWritingAsync(Token);
            (await CheckpointAsync(guest, "apply", "off", "--force")).Succeeded();
            Assert.Equal("Off", (await guest.ShowAsync(Token)).GetProperty("state").GetString());
            Assert.Equal(hash, await HashAsync(guest, await guest.DiskPathAsync(Token)));
        }

        // Beside what runs: nobody serves these images.
        (await CheckpointAsync(guest, "apply", "saved")).Succeeded();
        (await CheckpointAsync(guest, "remove", "off")).Succeeded();
        Assert.Equal(later, await HashAsync(guest, await DiskOfAsync(guest, "later")));
        Assert.Equal(3, Directory.GetFiles(Path.GetDirectoryName(guest.Source)!).Length);
        (await CheckpointAsync(guest, "apply", "later")).Succeeded();
        Assert.Equal(later, await HashAsync(guest, await guest.DiskPathAsync(Token)));
        await WriteAndTurnOffAsync(guest);
        (await CheckpointAsync(guest, "remove", "saved", "--subtree")).Succeeded();
        Assert.Equal([guest.Source], Directory.GetFiles(Path.GetDirectoryName(guest.Source)!));
        Assert.False(Directory.Exists(Path.Combine((await guest.ShowAsync(Token)).GetProperty("path").GetString()!, "Snapshots")));
    }

    /// <summary>What is merged is merged in the end, whoever is killed meanwhile.</summary>
    private static async Task RemoveUnderKillsAsync(GuestUnderTest guest)
    {
        var job = (await CheckpointAsync(guest, "remove", "middle", "--subtree", "--no-wait", "--json")).Json().GetProperty("id").GetString()!;
        await guest.KillWorkerAsync(Token);
        await guest.Host.KillDaemonAsync(Token);
        await guest.Host.StartDaemonAsync(Token);
        await guest.WaitForEndAsync(job, "Succeeded", Token);
    }

    private static async Task WriteAndTurnOffAsync(GuestUnderTest guest)
    {
        (await guest.Host.GodwitAsync(["vm", "start", GuestUnderTest.Name], Token)).Succeeded();
        await guest.GoesOnWritingAsync(Token);
        (await guest.Host.GodwitAsync(["vm", "stop", GuestUnderTest.Name, "--turn-off"], Token)).Succeeded();
    }

    private static Task<Testing.Hosts.CommandResult> CheckpointAsync(GuestUnderTest guest, string verb, params string[] rest) =>
        guest.Host.GodwitAsync(["checkpoint", verb, GuestUnderTest.Name, .. rest], Token);

    /// <summary>Takes one and checks it: whatever had been acknowledged before is in it.</summary>
    private async Task<(string Path, string Hash, string Log)> TakeAsync(GuestUnderTest guest, string name)
    {
        var log = Path.Combine(guest.Host.Folder, name + ".log");
        File.WriteAllText(log, WholeLines(Path.Combine(guest.Host.Folder, "serial.log"), 0));
        var from = guest.Log.Now;
        (await CheckpointAsync(guest, "create", "--name", name)).Succeeded();
        await guest.GoesOnWritingAsync(Token);
        output.WriteLine($"{name}: the guest stood still for {guest.Log.LongestHeartbeatGap(from).TotalMilliseconds:0} ms");
        var path = await DiskOfAsync(guest, name);
        await VerifyAsync(path, log);
        return (path, await HashAsync(guest, path), log);
    }

    /// <summary>Applies one and returns the log of the life that goes on: what came before the checkpoint, and what comes after.</summary>
    private static async Task<string> ApplyAsync(GuestUnderTest guest, string name, string log)
    {
        (await CheckpointAsync(guest, "apply", name, "--force")).Succeeded();
        Assert.Equal("Saved", (await guest.ShowAsync(Token)).GetProperty("state").GetString());
        File.WriteAllText(log + ".length", new FileInfo(Path.Combine(guest.Host.Folder, "serial.log")).Length.ToString(System.Globalization.CultureInfo.InvariantCulture));
        (await guest.Host.GodwitAsync(["vm", "start", GuestUnderTest.Name], Token)).Succeeded();
        return log;
    }

    private static async Task StopAndVerifyAsync(GuestUnderTest guest, string log, string disk)
    {
        (await guest.Host.GodwitAsync(["vm", "stop", GuestUnderTest.Name], Token)).Succeeded();
        var from = long.Parse(File.ReadAllText(log + ".length"), System.Globalization.CultureInfo.InvariantCulture);
        // The first line may be the end of one that the guest had begun before the checkpoint.
        File.AppendAllText(log, "\n" + WholeLines(Path.Combine(guest.Host.Folder, "serial.log"), from));
        await VerifyAsync(disk, log);
        (await guest.Host.GodwitAsync(["disk", "check", disk], Token)).Succeeded();
    }

    private static async Task VerifyAsync(string path, string log)
    {
        using var seen = new GuestLog(log);
        seen.Dispose();
        Assert.True(seen.AcknowledgedCount >= 100, $"{seen.AcknowledgedCount} acknowledged in {log}");
        await using var disk = await DiskImage.OpenAsync(path, path.EndsWith(".avhdx", StringComparison.Ordinal) ? ImageFormat.VhdxDifferencing : ImageFormat.VhdxDynamic, readOnly: true, Token);
        var records = await GuestRecords.VerifyAsync(disk, seen, Token);
        Assert.True(records.IsClean, string.Join('\n', records.Problems));
    }

    private static async Task AssertKeptAsync(GuestUnderTest guest, List<(string Path, string Hash, string Log)> taken)
    {
        foreach (var (path, hash, _) in taken)
            Assert.Equal(hash, await HashAsync(guest, path));
    }

    private static async Task<string> HashAsync(GuestUnderTest guest, string path) =>
        (await guest.Host.GodwitAsync(["disk", "hash", path], Token)).Succeeded().Output.Split(' ')[0];

    private static async Task<string[]> NamesAsync(GuestUnderTest guest) =>
        [.. (await CheckpointAsync(guest, "list", "--json")).Json().GetProperty("checkpoints").EnumerateArray().Select(one => one.GetProperty("name").GetString()!)];

    /// <summary>The frozen image of a checkpoint, from the VM's own file.</summary>
    private static async Task<string> DiskOfAsync(GuestUnderTest guest, string name)
    {
        var vm = await guest.ShowAsync(Token);
        var file = Path.Combine(vm.GetProperty("path").GetString()!, "Virtual Machines", vm.GetProperty("id").GetString() + ".json");
        using var record = JsonDocument.Parse(await File.ReadAllTextAsync(file, Token));
        return record.RootElement.GetProperty("vm").GetProperty("checkpoints").EnumerateArray()
            .Single(one => one.GetProperty("name").GetString() == name).GetProperty("disks")[0].GetProperty("path").GetString()!;
    }

    private static string WholeLines(string file, long from)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        stream.Position = from;
        using var reader = new StreamReader(stream);
        var text = reader.ReadToEnd();
        return text[..(text.LastIndexOf('\n') + 1)];
    }
}
