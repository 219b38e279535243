using System.CommandLine;
using System.Globalization;
using Godwit.Api.Disks;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>godwit vm limit</summary>
internal sealed class VmLimit
{
    private readonly Argument<string> _name = VmCommands.NameArgument();
    private readonly Option<string> _disk = new("--disk") { Description = "Name of the disk", HelpName = "NAME", Required = true };

    private readonly Option<long?> _iops = new("--iops")
    {
        Description = "Requests of up to 8 KiB a second; a longer one counts as so many",
        HelpName = "N",
    };

    private readonly Option<long?> _bandwidth = SizeOption.Create("--bandwidth", "Bytes read and written a second");
    private readonly Option<long?> _burstIops = new("--burst-iops") { Description = "Requests a second for a while after idle time", HelpName = "N" };
    private readonly Option<long?> _burstBandwidth = SizeOption.Create("--burst-bandwidth", "Bytes a second for a while after idle time");
    private readonly Option<int?> _burstSeconds = new("--burst-seconds") { Description = "How long a burst lasts, 1 second when not given", HelpName = "N" };
    private readonly Option<long?> _minimum = new("--minimum-iops")
    {
        Description = "Requests a second the disk is promised: whether it gets them is watched",
        HelpName = "N",
    };

    private readonly Option<bool> _none = new("--none") { Description = "Take all limits away" };

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var limit = new VmLimit();
        var verb = new Verb("limit", "Limits how much a disk of a running VM may be used", "godwit vm limit web --disk disk0 --iops 500 --bandwidth 50M")
        {
            limit._name, limit._disk, limit._iops, limit._bandwidth, limit._burstIops, limit._burstBandwidth, limit._burstSeconds, limit._minimum, limit._none,
        };
        verb.AddJson("Write the limits that hold now as JSON");
        verb.Does(shell, global, limit.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var wanted = new DiskLimitSpec(
            session.Get(_iops), session.Get(_bandwidth), session.Get(_burstIops), session.Get(_burstBandwidth), session.Get(_burstSeconds), session.Get(_minimum));
        if (wanted == new DiskLimitSpec() != session.Get(_none))
            throw new UsageException("give --iops, --bandwidth, --minimum-iops or several of them, or --none");
        if (wanted.FindProblem() is { } problem)
            throw new UsageException(problem);
        var (name, disk) = (session.Get(_name), session.Get(_disk)!);
        var now = await session.Client.LimitDiskAsync(name, disk, wanted, cancellationToken);
        if (!session.TryWriteJson(now, JsonText.Api.DiskLimitSpec))
            session.Talk.Say($"{disk} of VM {name}: {Text(now)}");
        return ExitCode.Ok;
    }

    private static string Text(DiskLimitSpec limits)
    {
        var seconds = limits.BurstSeconds ?? 1;
        string?[] parts =
        [
            Rate(limits.RequestsPerSecond, limits.BurstRequestsPerSecond, seconds, Requests),
            Rate(limits.BytesPerSecond, limits.BurstBytesPerSecond, seconds, bytes => $"{ByteSize.Format(bytes)}/s"),
        ];
        var most = parts.Any(part => part is not null) ? $"at most {string.Join(" and ", parts.OfType<string>())}" : "no limits";
        return limits.MinimumRequestsPerSecond is long minimum ? $"{most}, {Requests(minimum)} promised" : most;
    }

    private static string? Rate(long? rate, long? burst, int seconds, Func<long, string> text) => (rate, burst) switch
    {
        (null, _) => null,
        (long only, null) => text(only),
        (long usual, long peak) => $"{text(usual)} ({text(peak)} for {seconds} s)",
    };

    private static string Requests(long number) => $"{number.ToString("#,0", CultureInfo.InvariantCulture)} requests/s";
}
