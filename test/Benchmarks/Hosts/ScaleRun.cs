using System.Diagnostics;
using System.Globalization;
using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.Testing.Guest;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Hosts;

/// <summary>Many definitions and some tiny running guests on one host: how long a list takes, and what godwitd does while nothing happens.</summary>
internal static class ScaleRun
{
    private const int TicksPerSecond = 100;
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(30);

    public static async Task RunAsync(string programs, int vms, int running, CancellationToken ct)
    {
        await using var host = await HostUnderTest.StartAsync(programs, ct);
        var guest = await GuestImage.BuildAsync(Path.Combine(host.Folder, "guest"), ct);
        using var client = new GodwitClient(
            GodwitAddress.Parse($"unix:{Path.Combine(host.RunFolder, "godwitd.sock")}"), null, TimeProvider.System);
        // No heartbeats, no writes: a guest that does nothing.
        var settings = new VirtualMachineSettings(
            80L << 20, Kernel: guest.Kernel, Initrd: guest.Initrd, Append: GuestImage.Append("godwit.wr=0 godwit.hb=0"));
        var watch = Stopwatch.StartNew();
        for (var i = 0; i < vms; i++)
            await client.CreateVirtualMachineAsync(new VirtualMachineSpec($"vm{i:000}", settings, []), ct);
        Print($"{vms} VMs defined", watch.Elapsed);
        watch.Restart();
        for (var i = 0; i < running; i++)
            await client.StartVirtualMachineAsync($"vm{i:000}", ct);
        Print($"{running} of them started", watch.Elapsed);
        // Booting is over when the guests have become idle.
        await Task.Delay(TimeSpan.FromSeconds(20 + (3 * running)), ct);
        await ListAsync(host, client, ct);
        var process = (await client.GetHostAsync(ct)).ProcessId;
        var before = Ticks(process);
        await Task.Delay(Idle, ct);
        var share = (Ticks(process) - before) / (Idle.TotalSeconds * TicksPerSecond);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"godwitd while nothing happens: {share:P2} of one processor (goal: below 1 %)"));
    }

    private static async Task ListAsync(HostUnderTest host, GodwitClient client, CancellationToken ct)
    {
        await MedianAsync("godwit vm list, the whole command (goal: 300 ms)", async () => (await host.GodwitAsync(["vm", "list"], ct)).Succeeded());
        await MedianAsync("the request alone", () => client.ListVirtualMachinesAsync(ct));
    }

    private static async Task MedianAsync(string what, Func<Task> act)
    {
        var times = new List<TimeSpan>();
        for (var round = 0; round < 11; round++)
        {
            var watch = Stopwatch.StartNew();
            await act();
            times.Add(watch.Elapsed);
        }

        times.Sort();
        Print(what, times[times.Count / 2]);
    }

    // User and system time, the 14th and 15th field of proc(5), behind a name that may hold anything.
    private static long Ticks(int process)
    {
        var stat = File.ReadAllText($"/proc/{process}/stat");
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
    }

    private static void Print(string what, TimeSpan time) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what}: {time.TotalMilliseconds:0} ms"));
}
