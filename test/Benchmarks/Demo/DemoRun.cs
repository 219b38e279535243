using System.Diagnostics;
using System.Text.Json;
using Godwit.Storage.Formats;
using Godwit.Testing.Guest;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Demo;

/// <summary>The main job on real parts: a guest writes, its disk moves, the worker dies on the way, nothing is lost.</summary>
internal sealed class DemoRun(string programs)
{
    private const int FillMebibytes = 192;

    // Slow enough to be watched and to be interrupted half way; without it the copy takes about a second.
    private const string Bandwidth = "24M";

    public async Task<DemoReport> RunAsync(CancellationToken ct)
    {
        Say("starting the host service");
        await using var host = await HostUnderTest.StartAsync(programs, ct);
        Say("building the test guest (kernel, busybox and our test program)");
        var guest = await GuestImage.BuildAsync(Path.Combine(host.Folder, "guest"), ct);
        var source = Path.Combine(host.Folder, "slow", "demo.vhdx");
        var target = Path.Combine(host.Folder, "fast", "demo.vhdx");
        var serial = Path.Combine(host.Folder, "serial.log");
        Directory.CreateDirectory(Path.GetDirectoryName(source)!);

        await GodwitAsync(host, ct,
            "vm", "create", "demo", "--memory", "256M", "--cpus", "1", "--disk", $"{source},size=8G,format=vhdx",
            "--kernel", guest.Kernel, "--initrd", guest.Initrd,
            "--append", GuestImage.Append($"godwit.fill={FillMebibytes} godwit.wr=200"), "--serial", serial);
        using var log = new GuestLog(serial);
        await GodwitAsync(host, ct, "vm", "start", "demo");
        await log.WaitForLineAsync("READY", TimeSpan.FromSeconds(60), ct);
        Say($"the guest is up and writes {FillMebibytes} MiB of filler, then 200 records a second");
        await log.WaitForLineAsync("F done", TimeSpan.FromSeconds(90), ct);
        await log.WaitForAcknowledgedAsync(400, TimeSpan.FromSeconds(30), ct);

        var allocated = await AllocatedAsync(source, ct);
        var windowStart = log.Now;
        var (job, kills) = await MoveAsync(host, Path.GetDirectoryName(target)!, ct);
        var moved = log.AcknowledgedCount;
        await log.WaitForAcknowledgedAsync(moved + 400, TimeSpan.FromSeconds(30), ct);
        var windowEnd = log.Now;
        await GodwitAsync(host, ct, "vm", "show", "demo");
        var vm = await host.ShowAsync("demo", ct);
        await GodwitAsync(host, ct, "vm", "stop", "demo");

        return await JudgeAsync(log, vm, job, kills, (windowStart, windowEnd), (source, target, allocated), ct);
    }

    private static async Task<DemoReport> JudgeAsync(
        GuestLog log, JsonElement vm, JsonElement job, int kills, (long From, long To) window,
        (string Source, string Target, long Allocated) files, CancellationToken ct)
    {
        Say("checking the new file: qemu-img check, then every record the guest was told is written");
        var check = await ChildProgram.RunAsync("qemu-img", ["check", "-f", "vhdx", files.Target], null, ct);
        Console.WriteLine(check.ExitCode == 0 ? Indent(check.Output) : Indent(check.ToString()));
        GuestVerification records;
        await using (var disk = await DiskImage.OpenAsync(files.Target, ImageFormat.VhdxDynamic, readOnly: true, ct))
            records = await GuestRecords.VerifyAsync(disk, log, ct);
        foreach (var problem in records.Problems)
            Console.WriteLine(Indent(problem));
        var created = job.GetProperty("created").GetDateTimeOffset();
        return new DemoReport(
            records.Acknowledged,
            records.Lost,
            records.Corrupt + records.FillerCorrupt,
            Math.Round(log.LongestStall(window.From, window.To).TotalMilliseconds, 1),
            Math.Round(log.LongestHeartbeatGap(window.From, window.To).TotalMilliseconds, 1),
            job.GetProperty("progress").GetProperty("bytesDone").GetInt64(),
            Math.Round((job.GetProperty("ended").GetDateTimeOffset() - created).TotalSeconds, 1),
            !File.Exists(files.Source),
            log.ErrorCount,
            files.Allocated,
            await AllocatedAsync(files.Target, ct),
            kills,
            check.ExitCode == 0,
            vm.GetProperty("disks")[0].GetProperty("path").GetString()!,
            vm.GetProperty("accelerator").GetString()!);
    }

    // The move runs on this terminal with its progress bar while we look for the moment to kill the worker.
    private static async Task<(JsonElement Job, int Kills)> MoveAsync(HostUnderTest host, string folder, CancellationToken ct)
    {
        string[] command = ["vm", "move-storage", "demo", "--to", folder, "--bandwidth", Bandwidth];
        Say($"$ godwit {string.Join(' ', command)}");
        var move = host.GodwitAttachedAsync(command, ct);
        var kills = 0;
        while (!move.IsCompleted)
        {
            await Task.WhenAny(move, Task.Delay(200, ct));
            if (kills == 0 && await IsHalfWayAsync(host, ct))
            {
                var worker = (await host.ShowAsync("demo", ct)).GetProperty("workerProcessId").GetInt32();
                using var process = Process.GetProcessById(worker);
                process.Kill();
                kills++;
                await Console.Error.WriteLineAsync($"\n==> killed the disk worker (process {worker}) with SIGKILL");
            }
        }

        if (await move != 0)
            throw new InvalidOperationException($"the move failed; godwitd's log:\n{host.ReadLog()}");
        return ((await FindMoveAsync(host, ct))!.Value, kills);
    }

    /// <summary>The move among the jobs; creating the VM was one too.</summary>
    private static async Task<JsonElement?> FindMoveAsync(HostUnderTest host, CancellationToken ct)
    {
        foreach (var job in (await host.GodwitAsync(["job", "list", "--json"], ct)).Json().EnumerateArray())
        {
            if (job.GetProperty("kind").GetString() == "move-storage")
                return job;
        }

        return null;
    }

    private static async Task<bool> IsHalfWayAsync(HostUnderTest host, CancellationToken ct)
    {
        if (await FindMoveAsync(host, ct) is not { } job || job.GetProperty("phase").GetString() != "Copy")
            return false;
        return job.TryGetProperty("progress", out var progress) && progress.ValueKind == JsonValueKind.Object
            && progress.GetProperty("bytesDone").GetInt64() > (FillMebibytes << 20) / 3;
    }

    private static async Task GodwitAsync(HostUnderTest host, CancellationToken ct, params string[] arguments)
    {
        Say($"$ godwit {string.Join(' ', arguments.Select(a => a.Contains(' ', StringComparison.Ordinal) ? $"'{a}'" : a))}");
        var code = await host.GodwitAttachedAsync(arguments, ct);
        if (code != 0)
            throw new InvalidOperationException($"godwit ended with {code}; godwitd's log:\n{host.ReadLog()}");
    }

    private static async Task<long> AllocatedAsync(string file, CancellationToken ct)
    {
        var result = await ChildProgram.RunAsync("stat", ["-c", "%b", file], null, ct);
        return long.Parse(result.Succeeded().Output, System.Globalization.CultureInfo.InvariantCulture) * 512;
    }

    private static string Indent(string text) => "    " + text.Trim().Replace("\n", "\n    ", StringComparison.Ordinal);

    private static void Say(string text) => Console.WriteLine($"==> {text}");
}
