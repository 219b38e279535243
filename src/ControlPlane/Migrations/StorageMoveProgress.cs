using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.Migrations;

/// <summary>Adds up the disks of a move for the progress report.</summary>
internal sealed class StorageMoveProgress(StorageMovePlan plan)
{
    private readonly Dictionary<string, DiskCount> _disks =
        plan.Items.ToDictionary(item => item.Disk, item => new DiskCount { Expected = item.AllocatedBytes });

    /// <summary>Takes in what the worker says and reports the sum.</summary>
    public void Report(JobContext context, string phase, WorkerStatus status)
    {
        foreach (var disk in status.Disks)
        {
            if (disk.Mirror is { } mirror && mirror.JobId == context.JobId && _disks.TryGetValue(disk.Name, out var count))
            {
                count.Take(mirror);
            }
        }
        var copied = _disks.Values.Sum(count => count.Copied);
        var total = _disks.Values.Sum(count => count.Expected);
        var toVerify = _disks.Values.Sum(count => Math.Max(count.ToVerify, count.Expected));
        if (phase == StorageMovePhases.Copy)
        {
            context.Report(phase, (copied, total), (copied, total), StorageMovePhases.CopySpan, toVerify);
        }
        else
        {
            var verified = _disks.Values.Sum(count => count.Verified);
            context.Report(phase, (copied, total), (verified, toVerify), StorageMovePhases.InSyncSpan);
        }
    }

    private sealed class DiskCount
    {
        private long _before;
        private long _last;

        public long Copied => _before + _last;

        public long Expected { get; set; }

        public long Verified { get; private set; }

        public long ToVerify { get; private set; }

        public void Take(MirrorStatus mirror)
        {
            // A restarted worker counts from zero again: what its predecessor copied stays counted.
            if (mirror.BytesCopied < _last)
            {
                _before += _last;
            }
            _last = mirror.BytesCopied;
            Expected = Copied + mirror.BytesLeft;
            Verified = mirror.BytesVerified;
            ToVerify = mirror.BytesToVerify;
        }
    }
}
