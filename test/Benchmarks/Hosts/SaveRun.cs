using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Godwit.Qemu.Launch;
using Godwit.Qemu.Processes;
using Godwit.Testing;
using Godwit.Testing.Guest;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Hosts;

/// <summary>A guest that has filled its memory, saved and restored: by `godwit vm`, by QEMU's monitor alone, and what the disk writes by itself.</summary>
internal static class SaveRun
{
    public static async Task RunAsync(string programs, int mebibytes, int rounds, CancellationToken ct)
    {
        await using var host = await HostUnderTest.StartAsync(programs, ct);
        var guest = await GuestImage.BuildAsync(Path.Combine(host.Folder, "guest"), ct);
        var append = GuestImage.Append($"godwit.wr=0 godwit.mem={mebibytes} godwit.dirty=1");
        var memory = (mebibytes + 256L) << 20;
        var disk = await SequentialAsync(Path.Combine(host.Folder, "sequential"), mebibytes, ct);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"a file of {mebibytes} MiB written and made durable: {disk:0} ms, {mebibytes / disk * 1000:0} MiB/s"));
        var ours = await OursAsync(host, guest, append, memory, rounds, ct);
        var byHand = await ByHandAsync(guest, append, memory, rounds, ct);
        Print("godwit vm save (durable when it answers)", ours.Save);
        Print("QEMU by hand: stop, migrate, quit (not durable)", byHand.Save);
        Print("QEMU by hand and fsync", byHand.Durable);
        Print("godwit vm start from it", ours.Restore);
        Print("QEMU by hand: start, load, cont", byHand.Restore);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"saving {Median(ours.Save) / Median(byHand.Durable):0.00} of by hand with fsync; restoring {Median(ours.Restore) / Median(byHand.Restore):0.00}; {disk / Median(ours.Save):0.00} of the disk's rate (goal 0.8)"));
    }

    private static async Task<(List<double> Save, List<double> Restore)> OursAsync(
        HostUnderTest host, GuestImage guest, string append, long memory, int rounds, CancellationToken ct)
    {
        var serial = Path.Combine(host.Folder, "serial.log");
        var megabytes = string.Create(CultureInfo.InvariantCulture, $"{memory >> 20}M");
        string[] create = ["vm", "create", "saved", "--memory", megabytes, "--kernel", guest.Kernel, "--initrd", guest.Initrd, "--append", append, "--serial", serial];
        (await host.GodwitAsync(create, ct)).Succeeded();
        (await host.GodwitAsync(["vm", "start", "saved"], ct)).Succeeded();
        using var log = new GuestLog(serial);
        await FilledAsync(log, ct);
        var (save, restore) = (new List<double>(), new List<double>());
        for (var round = 0; round < rounds; round++)
        {
            save.Add(await TimeAsync(async () => (await host.GodwitAsync(["vm", "save", "saved", "--quiet"], ct)).Succeeded()));
            restore.Add(await TimeAsync(async () => (await host.GodwitAsync(["vm", "start", "saved", "--quiet"], ct)).Succeeded()));
            await Task.Delay(1000, ct);
        }

        (await host.GodwitAsync(["vm", "stop", "saved", "--turn-off"], ct)).Succeeded();
        return (save, restore);
    }

    private static async Task<(List<double> Save, List<double> Durable, List<double> Restore)> ByHandAsync(
        GuestImage guest, string append, long memory, int rounds, CancellationToken ct)
    {
        using var folder = new TempFolder();
        var launcher = new QemuLauncher(TimeProvider.System);
        var configuration = new QemuConfiguration("by-hand", Guid.NewGuid(), memory, 1, QemuFiles.In(folder.Path, folder.Path))
        {
            Kernel = guest.Kernel,
            Initrd = guest.Initrd,
            Append = append,
            SerialLog = folder.File("serial.log"),
        };
        var (save, durable, restore) = (new List<double>(), new List<double>(), new List<double>());
        var qemu = await launcher.StartAsync(configuration, ct);
        try
        {
            using var log = new GuestLog(configuration.SerialLog);
            await FilledAsync(log, ct);
            var file = folder.File("state");
            for (var round = 0; round < rounds; round++)
            {
                var watch = Stopwatch.StartNew();
                await SavedMemory.BeginSaveAsync(qemu, file, ct);
                while ((await SavedMemory.QueryAsync(qemu, ct)).State == MemoryTransferState.Active)
                    await Task.Delay(5, ct);
                await qemu.TurnOffAsync(ct);
                save.Add(watch.Elapsed.TotalMilliseconds);
                using (var handle = File.OpenHandle(file, FileMode.Open, FileAccess.ReadWrite))
                    RandomAccess.FlushToDisk(handle);
                durable.Add(watch.Elapsed.TotalMilliseconds);
                await qemu.DisposeAsync();
                restore.Add(await TimeAsync(async () =>
                {
                    qemu = await launcher.StartAsync(configuration with { Incoming = true }, ct);
                    await SavedMemory.LoadAsync(qemu, file, TimeProvider.System, ct);
                    await qemu.ResumeAsync(ct);
                }));
                await Task.Delay(1000, ct);
            }
        }
        finally
        {
            await qemu.TurnOffAsync(CancellationToken.None);
            await qemu.DisposeAsync();
        }

        return (save, durable, restore);
    }

    private static async Task FilledAsync(GuestLog log, CancellationToken ct)
    {
        await log.WaitForLineAsync("READY", TimeSpan.FromSeconds(60), ct);
        // The memory is filled with what cannot be compressed before the first page is dirtied.
        await Task.Delay(TimeSpan.FromSeconds(15), ct);
    }

    private static async Task<double> SequentialAsync(string path, int mebibytes, CancellationToken ct)
    {
        var block = RandomNumberGenerator.GetBytes(1 << 20);
        return await TimeAsync(async () =>
        {
            await using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, 0);
            for (var i = 0; i < mebibytes; i++)
                await file.WriteAsync(block, ct);
            file.Flush(flushToDisk: true);
        });
    }

    private static async Task<double> TimeAsync(Func<Task> act)
    {
        var watch = Stopwatch.StartNew();
        await act();
        return watch.Elapsed.TotalMilliseconds;
    }

    private static double Median(List<double> times) => times.Order().ElementAt(times.Count / 2);

    private static void Print(string what, List<double> times) => Console.WriteLine(
        $"{what}: {string.Join(", ", times.Select(time => time.ToString("0", CultureInfo.InvariantCulture)))} ms");
}
