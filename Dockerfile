# JupyterLab with the lessons, on the CPU, as a user without rights.
#   docker build -t privhead .
#   docker run --rm -p 8888:8888 privhead      then open the address that it prints
# On x86 the plain index gives torch with CUDA libraries; name the index of CPU builds from
# PyTorch's install page to leave some gigabytes out:
#   docker build --build-arg TORCH_INDEX=ADDRESS -t privhead .
FROM python:3.12-slim-bookworm

ARG TORCH_INDEX=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 \
    OMP_WAIT_POLICY=passive

RUN useradd --create-home --uid 1000 student
WORKDIR /home/student

# the pins first: they change less often than the package
COPY constraints.txt ./
RUN pip install -c constraints.txt ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} torch==2.13.0

COPY . source
RUN pip install -c constraints.txt "./source[fast,notebooks]" \
    && cp -r source/notebooks notebooks \
    && rm -rf source constraints.txt \
    && chown -R student:student /home/student

USER student
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb"]
